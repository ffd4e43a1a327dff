"""Label metrics: every number of one finding, and their mean over findings, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_ctclip.evaluation.bootstrap import (
    REPLICATES,
    Interval,
    draw_weights,
    interval_of,
    with_exact_ends,
)
from napari_ctclip.evaluation.metrics import (
    DECISION_METRICS,
    decision_metrics,
    mean_of_known,
    resampled_auroc,
    resampled_average_precision,
)
from napari_ctclip.evaluation.operating_point import OperatingPoint
from napari_ctclip.evaluation.score_table import Column

__all__ = ["MACRO", "RANKING_METRICS", "LabelMetrics", "Resampling", "label_metrics",
           "macro_metrics"]  # fmt: skip

Floats = npt.NDArray[np.float64]

MACRO = "macro average"
RANKING_METRICS = ("auroc", "average_precision")

_UNDEFINED = Interval(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class Resampling:
    """How intervals are made.

    Attributes
    ----------
    replicates : int
        Resamples.
    seed : int
        The same seed gives the same intervals.
    """

    replicates: int = REPLICATES
    seed: int = 0


@dataclass(frozen=True)
class LabelMetrics:
    """One finding's numbers, or their mean over findings.

    Attributes
    ----------
    label : str
        The finding, or ``"macro average"``.
    studies, patients, positives : int
        What the numbers rest on; positives is 0 for the mean.
    unlabelled, unscored : int
        Studies left out: without a truth; with a truth but without a score.
    values : mapping of str to Interval
        ``auroc``, ``average_precision`` and ``DECISION_METRICS``.
    operating_point : OperatingPoint or None
        Where decisions are made; None for the mean.
    notes : tuple of str
        Why a number is missing or weak.
    """

    label: str
    studies: int
    patients: int
    positives: int
    unlabelled: int
    unscored: int
    values: Mapping[str, Interval]
    operating_point: OperatingPoint | None
    notes: tuple[str, ...] = ()


def label_metrics(column: Column, point: OperatingPoint, *, resampling: Resampling) -> LabelMetrics:
    """Return one finding's numbers at an operating point; NaN, with a note, where there is none."""
    positives = int(column.truth.sum())
    values = dict.fromkeys((*RANKING_METRICS, *DECISION_METRICS), _UNDEFINED)
    if len(column.truth):
        weights = draw_weights(
            column.patients,
            column.truth,
            replicates=resampling.replicates,
            seed=resampling.seed,
        )
        metrics = _metrics(column, point)
        found = {name: interval_of(metric, weights) for name, metric in metrics.items()}
        values |= found | _exact(found, column)
    return LabelMetrics(
        column.label,
        len(column.truth),
        len(set(column.patients)),
        positives,
        column.unlabelled,
        column.unscored,
        values,
        point,
        _notes(column, point, values),
    )


def macro_metrics(
    columns: Sequence[Column],
    points: Sequence[OperatingPoint],
    *,
    patients: Sequence[str],
    resampling: Resampling,
) -> LabelMetrics:
    """Return the mean of every number over the findings that have it.

    One resample of patients serves all findings, so that the interval knows that they are the same
    patients; a finding that loses a class in a resample is left out of that resample's mean.

    Parameters
    ----------
    columns : sequence of Column
        Findings; their ``studies`` index ``patients``.
    points : sequence of OperatingPoint
        One a finding.
    patients : sequence of str
        Patient of every study of the table.
    """
    strata = np.zeros(len(patients), dtype=bool)
    for column in columns:
        strata[column.studies[column.truth]] = True
    weights = draw_weights(patients, strata, replicates=resampling.replicates, seed=resampling.seed)
    values, skipped = {}, []
    for name in (*RANKING_METRICS, *DECISION_METRICS):
        parts = [
            (column, metrics[name])
            for column, point in zip(columns, points, strict=True)
            if name in (metrics := _metrics(column, point))
            and np.isfinite(metrics[name](np.ones((1, len(column.truth)))))[0]
        ]
        values[name] = interval_of(partial(_mean_of, parts), weights) if parts else _UNDEFINED
        if name == "auroc":
            counted = {column.label for column, _ in parts}
            skipped = [column.label for column in columns if column.label not in counted]
    notes = (f"without {', '.join(skipped)}: no AUROC there",) if skipped else ()
    return LabelMetrics(MACRO, len(patients), len(set(patients)), 0, 0, 0, values, None, notes)


def _exact(found: Mapping[str, Interval], column: Column) -> dict[str, Interval]:
    """Return the shares among patients with the intervals that hold at 0 and 1 too."""
    members = {
        "sensitivity": column.truth,
        "specificity": ~column.truth,
        "accuracy": np.ones(len(column.truth), dtype=bool),
    }
    patients = np.asarray(column.patients)
    return {
        name: with_exact_ends(found[name], len(np.unique(patients[inside])))
        for name, inside in members.items()
        if name in found
    }


def _metrics(column: Column, point: OperatingPoint) -> dict[str, Callable[[Floats], Floats]]:
    """Return the metrics of a column as functions of weights (B, N)."""
    if not len(column.truth):
        return {}
    found: dict[str, Callable[[Floats], Floats]] = {
        "auroc": partial(resampled_auroc, column.truth, column.similarity),
        "average_precision": partial(resampled_average_precision, column.truth, column.similarity),
    }
    if np.isfinite(point.threshold):
        called = point.calls(column.similarity, column.probability)
        for name in DECISION_METRICS:
            found[name] = partial(_decision, name, column.truth, called)
    return found


def _decision(
    name: str, truth: npt.NDArray[Any], called: npt.NDArray[np.bool_], weights: Floats
) -> Floats:
    return decision_metrics(truth, called, weights)[name]


def _mean_of(parts: Sequence[tuple[Column, Callable[[Floats], Floats]]], weights: Floats) -> Floats:
    rows = np.stack([metric(weights[:, column.studies]) for column, metric in parts])
    return mean_of_known(rows)


def _notes(
    column: Column, point: OperatingPoint, values: Mapping[str, Interval]
) -> tuple[str, ...]:
    notes = []
    positives, studies = int(column.truth.sum()), len(column.truth)
    if not studies:
        notes.append("no study has both a truth and a score")
    elif positives in (0, studies):
        only = "negatives" if not positives else "positives"
        notes.append(f"only {only}: no AUROC")
    elif min(positives, studies - positives) < 10:
        fewer = min(positives, studies - positives)
        noun = "study" if fewer == 1 else "studies"
        notes.append(f"only {fewer} {noun} of one class")
    area = values["auroc"]
    if np.isfinite(area.value) and np.isnan(area.low):
        notes.append("no interval for the AUROC: every resample has the same")
    if column.unscored:
        notes.append(f"{column.unscored} studies without a score (organ missing, or unusable)")
    if np.isnan(point.threshold):
        notes.append(point.origin)
    return tuple(notes)

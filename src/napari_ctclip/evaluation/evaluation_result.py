"""Evaluation: everything that is known about a model after its studies were scored."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.evaluation.calibration import LabelCalibration, calibration_metrics
from napari_ctclip.evaluation.faithfulness import FaithfulnessRow
from napari_ctclip.evaluation.label_metrics import (
    LabelMetrics,
    Resampling,
    label_metrics,
    macro_metrics,
)
from napari_ctclip.evaluation.localisation import LocalisationRow
from napari_ctclip.evaluation.operating_point import (
    EVEN_ODDS,
    OperatingPoint,
    Rule,
    choose_threshold,
    literature_threshold,
)
from napari_ctclip.evaluation.record_rows import PhrasingRow
from napari_ctclip.evaluation.score_table import Column, ScoreTable
from napari_ctclip.evaluation.subgroups import subgroups_of

__all__ = ["ALL_STUDIES", "NO_SPLIT", "Evaluation", "Plan", "SubgroupMetrics", "evaluate_scores"]

NO_SPLIT = "none"
"""Threshold split that means: probability 0.5."""

ALL_STUDIES = "all"
"""Evaluated split that means: every study of the manifest."""


@dataclass(frozen=True)
class Plan:
    """What is evaluated, and what may be learnt from.

    Attributes
    ----------
    split : str
        Evaluated; ``"all"`` for every study.
    threshold_on : str
        Thresholds and calibrations are chosen there. ``"none"``: probability 0.5. The evaluated
        split itself: the literature's threshold, which every output calls so.
    rule : {"youden", "closest-to-corner"}
        How a threshold is chosen on another split.
    resampling : Resampling
        How intervals are made.
    """

    split: str = "test"
    threshold_on: str = "valid"
    rule: Rule = "youden"
    resampling: Resampling = field(default_factory=Resampling)

    @property
    def splits(self) -> tuple[str, ...]:
        """Every split that must be scored; ``("all",)`` for all."""
        other = () if self.threshold_on in (NO_SPLIT, self.split) else (self.threshold_on,)
        return (self.split, *other)


@dataclass(frozen=True)
class SubgroupMetrics:
    """The numbers of one group of studies, at the operating points of all.

    Attributes
    ----------
    column, group : str
        e.g. ``"sex"``, ``"F"``.
    labels : tuple of LabelMetrics
        Every finding.
    macro : LabelMetrics
        Their mean.
    """

    column: str
    group: str
    labels: tuple[LabelMetrics, ...]
    macro: LabelMetrics


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The result.

    Attributes
    ----------
    plan : Plan
        How it was made.
    table : ScoreTable
        Evaluated studies.
    labels : tuple of LabelMetrics
        Findings that some study has a truth for.
    macro : LabelMetrics
        Their mean.
    calibrations : tuple of LabelCalibration
        Of the same findings.
    temperature : float
        Fitted on the other split; NaN if none was.
    subgroups : tuple of SubgroupMetrics
        For the chosen columns.
    localisation : tuple of LocalisationRow
        Where there are lesion files.
    faithfulness : tuple of FaithfulnessRow
        Where it was measured.
    phrasings : tuple of PhrasingRow
        Where the task set has further phrasings.
    notices : tuple of Notice
        What the reader of the numbers should know.
    provenance : mapping
        Model, task, versions.
    averaged : frozenset of str
        The labels that the macro average counts.
    """

    plan: Plan
    table: ScoreTable
    labels: tuple[LabelMetrics, ...]
    macro: LabelMetrics
    calibrations: tuple[LabelCalibration, ...]
    temperature: float
    subgroups: tuple[SubgroupMetrics, ...]
    localisation: tuple[LocalisationRow, ...] = ()
    faithfulness: tuple[FaithfulnessRow, ...] = ()
    phrasings: tuple[PhrasingRow, ...] = ()
    notices: tuple[Notice, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    averaged: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Measured:
    """The labels with a truth, their operating points, and which the mean leaves out."""

    labels: tuple[str, ...]
    points: tuple[OperatingPoint, ...]
    not_in_mean: frozenset[str]


def evaluate_scores(
    table: ScoreTable,
    plan: Plan,
    *,
    columns: Mapping[str, Mapping[str, str]] | None = None,
    not_in_mean: Collection[str] = (),
) -> Evaluation:
    """Return every number of a table of scores.

    Parameters
    ----------
    table : ScoreTable
        The evaluated split, and the one thresholds come from.
    plan : Plan
        What is evaluated and what may be learnt from.
    columns : mapping, optional
        Column -> study id -> value: subgroups.
    not_in_mean : collection of str
        Labels that the macro average leaves out.

    Raises
    ------
    DataError
        If a split is empty, or no study has a truth for any label.
    """
    evaluated = table if plan.split == ALL_STUDIES else table.of_split(plan.split)
    if not evaluated.studies:
        raise DataError(f"no study of split {plan.split!r} is left to evaluate")
    known = [
        label for j, label in enumerate(table.labels) if np.isfinite(evaluated.truth[:, j]).any()
    ]
    if not known:
        raise DataError(
            f"no study of split {plan.split!r} has a truth for any label of the task "
            f"({', '.join(table.labels)}); name the manifest's labels as the task file does"
        )
    on_evaluated = [evaluated.column(label) for label in known]
    other: list[Column] = []
    if plan.threshold_on not in (NO_SPLIT, plan.split):
        chosen_on = table.of_split(plan.threshold_on)
        other = [chosen_on.column(label) for label in known]
    points = _operating_points(on_evaluated, other, plan)
    calibrations, temperature = calibration_metrics(on_evaluated, other)
    measured = _Measured(tuple(known), tuple(points), frozenset(not_in_mean))
    labels, macro = _metrics(evaluated, measured, plan)
    groups = tuple(
        _subgroup(evaluated.rows(members), (name, group), measured, plan)
        for name, values in (columns or {}).items()
        for group, members in subgroups_of(evaluated.studies, values)
    )
    notices = _label_notices(table, known, plan)
    return Evaluation(
        plan,
        evaluated,
        labels,
        macro,
        tuple(calibrations),
        temperature,
        groups,
        notices=notices,
        averaged=frozenset(known) - measured.not_in_mean,
    )


def _operating_points(
    evaluated: Sequence[Column], other: Sequence[Column], plan: Plan
) -> list[OperatingPoint]:
    if plan.threshold_on == NO_SPLIT:
        return [EVEN_ODDS] * len(evaluated)
    if plan.threshold_on == plan.split:
        return [
            literature_threshold(column.truth, column.probability, split=plan.split)
            for column in evaluated
        ]
    return [
        choose_threshold(column.truth, column.similarity, rule=plan.rule, split=plan.threshold_on)
        for column in other
    ]


def _metrics(
    table: ScoreTable, measured: _Measured, plan: Plan
) -> tuple[tuple[LabelMetrics, ...], LabelMetrics]:
    pairs = [
        (table.column(label), point)
        for label, point in zip(measured.labels, measured.points, strict=True)
    ]
    how = plan.resampling
    labels = tuple(label_metrics(column, point, resampling=how) for column, point in pairs)
    averaged = [pair for pair in pairs if pair[0].label not in measured.not_in_mean]
    macro = macro_metrics(
        [column for column, _ in averaged],
        [point for _, point in averaged],
        patients=table.patients,
        resampling=how,
    )
    return labels, macro


def _subgroup(
    table: ScoreTable,
    name: tuple[str, str],
    measured: _Measured,
    plan: Plan,
) -> SubgroupMetrics:
    labels, macro = _metrics(table, measured, plan)
    return SubgroupMetrics(name[0], name[1], labels, macro)


def _label_notices(table: ScoreTable, known: Sequence[str], plan: Plan) -> tuple[Notice, ...]:
    found = []
    absent = [label for label in table.labels if label not in known]
    if absent:
        message = (
            f"No study of split {plan.split!r} has a truth for {', '.join(absent)}: scored, but "
            "not evaluated."
        )
        found.append(Notice(Severity.WARNING, "label-without-truth", message))
    if plan.threshold_on == plan.split:
        message = (
            f"Thresholds were chosen on the evaluated labels of split {plan.split!r} itself, as "
            "published scripts do: everything at a threshold is optimistic."
        )
        found.append(Notice(Severity.WARNING, "test-set-threshold", message))
    return tuple(found)

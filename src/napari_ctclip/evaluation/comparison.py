"""Comparison: models on the same studies, pair by pair, with paired tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.evaluation.bootstrap import (
    Interval,
    Resampled,
    bootstrap_p_value,
    draw_weights,
    interval_of,
)
from napari_ctclip.evaluation.label_metrics import MACRO, Resampling
from napari_ctclip.evaluation.metrics import (
    mean_of_known,
    resampled_auroc,
    resampled_average_precision,
)
from napari_ctclip.evaluation.paired_tests import delong_test, holm_adjusted
from napari_ctclip.evaluation.score_table import Column, ScoreTable

__all__ = ["Comparison", "ComparisonRow", "compare_tables"]

Floats = npt.NDArray[np.float64]

_METRICS: Mapping[str, Callable[[npt.NDArray[np.bool_], Floats, Floats], Floats]] = {
    "auroc": resampled_auroc,
    "average_precision": resampled_average_precision,
}


@dataclass(frozen=True)
class ComparisonRow:
    """Two models on one finding, or on the mean over findings.

    Attributes
    ----------
    pair : tuple of str
        Models a and b.
    label, metric : str
        ``metric`` is ``"auroc"`` or ``"average_precision"``.
    studies, patients, positives : int
        That both models scored.
    a, b : float
        Their values there.
    difference : Interval
        b - a, by paired bootstrap over patients.
    p_bootstrap : float
        Two-sided.
    p_delong : float
        Of AUROCs where every patient has one study; NaN elsewhere, where DeLong's formula does
        not hold.
    p_holm : float
        The test's p-value (DeLong's if there is one) corrected for all findings of the pair and
        metric; NaN for the mean, which is one question of its own.
    """

    pair: tuple[str, str]
    label: str
    metric: str
    studies: int
    patients: int
    positives: int
    a: float
    b: float
    difference: Interval
    p_bootstrap: float
    p_delong: float
    p_holm: float


@dataclass(frozen=True)
class Comparison:
    """Every pair of models.

    Attributes
    ----------
    models : tuple of str
        In the order they were given.
    rows : tuple of ComparisonRow
        Pair by pair, findings first, then their mean.
    notices : tuple of Notice
        What the reader of the numbers should know.
    """

    models: tuple[str, ...]
    rows: tuple[ComparisonRow, ...]
    notices: tuple[Notice, ...]


@dataclass(frozen=True, eq=False)
class _Paired:
    """One finding's studies that both models scored, as rows of the common studies."""

    label: str
    studies: npt.NDArray[np.intp]
    patients: tuple[str, ...]
    truth: npt.NDArray[np.bool_]
    a: Floats
    b: Floats

    @property
    def is_same(self) -> bool:
        """Whether both models gave the same answers."""
        return np.array_equal(self.a, self.b)


def compare_tables(
    tables: Mapping[str, ScoreTable], *, resampling: Resampling | None = None
) -> Comparison:
    """Return the comparison of models by name.

    Raises
    ------
    DataError
        If there are fewer than two, two share no study and label, or their truths differ.
    """
    if len(tables) < 2:
        raise DataError(f"a comparison needs two results, got {len(tables)}")
    how = resampling or Resampling()
    rows: list[ComparisonRow] = []
    notices: list[Notice] = []
    for a, b in combinations(tables, 2):
        found, remarks = _compare_pair((a, b), (tables[a], tables[b]), how)
        rows += found
        notices += remarks
    return Comparison(tuple(tables), tuple(rows), tuple(notices))


def _compare_pair(
    pair: tuple[str, str], tables: tuple[ScoreTable, ScoreTable], how: Resampling
) -> tuple[list[ComparisonRow], list[Notice]]:
    a, b = tables
    labels = [label for label in a.labels if label in b.labels]
    common = [study for study in a.studies if study in set(b.studies)]
    if not labels or not common:
        raise DataError(
            f"{pair[0]} and {pair[1]} share {len(labels)} labels and {len(common)} studies; "
            "compare results on the same manifest and task"
        )
    a, b = a.aligned(common), b.aligned(common)
    paired = [_paired(a.column(label), b.column(label), pair) for label in labels]
    rows: list[ComparisonRow] = []
    for metric in _METRICS:
        found = [_row(pair, one, metric, how) for one in paired]
        p_values = [r.p_delong if np.isfinite(r.p_delong) else r.p_bootstrap for r in found]
        corrected = holm_adjusted(p_values)
        rows += [replace(row, p_holm=p) for row, p in zip(found, corrected, strict=True)]
        rows.append(_macro_row(pair, paired, metric, patients=a.patients, how=how))
    return rows, _notices(pair, tables, paired, common)


def _paired(a: Column, b: Column, pair: tuple[str, str]) -> _Paired:
    both, at_a, at_b = np.intersect1d(a.studies, b.studies, return_indices=True)
    differ = int((a.truth[at_a] != b.truth[at_b]).sum())
    if differ:
        raise DataError(
            f"{pair[0]} and {pair[1]} disagree on the truth of {a.label!r} in {differ} studies; "
            "evaluate both on the same labels"
        )
    patients = tuple(a.patients[i] for i in at_a.tolist())
    return _Paired(a.label, both, patients, a.truth[at_a], a.similarity[at_a], b.similarity[at_b])


def _row(pair: tuple[str, str], one: _Paired, metric: str, how: Resampling) -> ComparisonRow:
    value_a, value_b, p_bootstrap = float("nan"), float("nan"), float("nan")
    difference = Interval(float("nan"), float("nan"), float("nan"))
    if 0 < one.truth.sum() < len(one.truth):
        weights = draw_weights(one.patients, one.truth, replicates=how.replicates, seed=how.seed)
        value_a, value_b = (_value(metric, one, scores) for scores in (one.a, one.b))
        difference = _interval(lambda drawn: _difference(metric, one, drawn), weights, [one])
        p_bootstrap = bootstrap_p_value(_difference(metric, one, weights))
    return ComparisonRow(
        pair,
        one.label,
        metric,
        len(one.truth),
        len(set(one.patients)),
        int(one.truth.sum()),
        value_a,
        value_b,
        difference,
        p_bootstrap,
        _delong(one) if metric == "auroc" else float("nan"),
        float("nan"),
    )


def _macro_row(
    pair: tuple[str, str],
    paired: Sequence[_Paired],
    metric: str,
    *,
    patients: Sequence[str],
    how: Resampling,
) -> ComparisonRow:
    usable = [one for one in paired if 0 < one.truth.sum() < len(one.truth)]
    strata = np.zeros(len(patients), dtype=bool)
    for one in usable:
        strata[one.studies[one.truth]] = True
    weights = draw_weights(patients, strata, replicates=how.replicates, seed=how.seed)

    def mean(drawn: Floats) -> Floats:
        rows = [_difference(metric, one, drawn[:, one.studies]) for one in usable]
        if not rows:
            return np.full(len(drawn), np.nan)
        return mean_of_known(np.stack(rows))

    nothing = float("nan")
    value_a, value_b = nothing, nothing
    if usable:
        value_a = float(np.mean([_value(metric, one, one.a) for one in usable]))
        value_b = float(np.mean([_value(metric, one, one.b) for one in usable]))
    return ComparisonRow(
        pair,
        MACRO,
        metric,
        len(patients),
        len(set(patients)),
        0,
        value_a,
        value_b,
        _interval(mean, weights, usable),
        bootstrap_p_value(mean(weights)),
        nothing,
        nothing,
    )


def _interval(measure: Resampled, weights: Floats, paired: Sequence[_Paired]) -> Interval:
    """Return a difference with its interval: 0 to 0 where both models gave the same answers."""
    if paired and all(one.is_same for one in paired):
        return Interval(0.0, 0.0, 0.0)
    return interval_of(measure, weights)


def _value(metric: str, one: _Paired, scores: Floats) -> float:
    return float(_METRICS[metric](one.truth, scores, np.ones((1, len(scores))))[0])


def _difference(metric: str, one: _Paired, weights: Floats) -> Floats:
    measure = _METRICS[metric]
    return measure(one.truth, one.b, weights) - measure(one.truth, one.a, weights)


def _delong(one: _Paired) -> float:
    """Return DeLong's p-value where its formula holds."""
    counts = (int(one.truth.sum()), int((~one.truth).sum()))
    if min(counts) < 2 or len(set(one.patients)) < len(one.patients):
        return float("nan")
    return delong_test(one.truth, one.a, one.b).p_value


def _notices(
    pair: tuple[str, str],
    tables: tuple[ScoreTable, ScoreTable],
    paired: Sequence[_Paired],
    common: Sequence[str],
) -> list[Notice]:
    found = []
    for name, table, other in zip(pair, tables, tables[::-1], strict=True):
        alone = len(table.studies) - len(common)
        labels = [label for label in table.labels if label not in other.labels]
        if alone or labels:
            message = (
                f"{name} alone has {alone} studies and the labels {', '.join(labels) or '(none)'}: "
                "left out."
            )
            found.append(Notice(Severity.WARNING, "not-in-both", message))
    if any(len(set(one.patients)) < len(one.patients) for one in paired):
        message = (
            f"{pair[0]} and {pair[1]}: patients have several studies, so DeLong's test does not "
            "hold; the bootstrap over patients does."
        )
        found.append(Notice(Severity.INFO, "no-delong", message))
    return found

"""Metrics: rankings and decisions of many resamples at once; a resample is a row of weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, roc_auc_score

__all__ = [
    "DECISION_METRICS",
    "auroc",
    "average_precision",
    "decision_metrics",
    "mean_of_known",
    "quotient",
    "resampled_auroc",
    "resampled_average_precision",
]

Floats = npt.NDArray[np.float64]


def quotient(part: Floats, whole: Floats, *, otherwise: float = float("nan")) -> Floats:
    """Return part / whole, and ``otherwise`` where the whole is 0."""
    result = np.full(np.broadcast_shapes(part.shape, whole.shape), otherwise)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def mean_of_known(rows: Floats) -> Floats:
    """Return the mean over rows (K, B) of what is finite, (B,); NaN where nothing is."""
    known = np.isfinite(rows)
    return quotient(np.where(known, rows, 0.0).sum(axis=0), known.sum(axis=0).astype(np.float64))


def auroc(labels: npt.NDArray[Any], scores: npt.NDArray[Any]) -> float:
    """Return the area under the ROC curve; NaN where one of the two classes is empty.

    Parameters
    ----------
    labels : ndarray, shape (N,)
        True for positives.
    scores : ndarray, shape (N,)
        Higher means more likely positive; ties count one half.

    References
    ----------
    Hanley and McNeil 1982 (the area as the Mann-Whitney statistic).
    """
    positive = np.asarray(labels, dtype=bool)
    if positive.all() or not positive.any():
        return float("nan")
    return float(roc_auc_score(positive, scores))


def average_precision(labels: npt.NDArray[Any], scores: npt.NDArray[Any]) -> float:
    """Return the mean precision over the recall steps of scores (N,); NaN without a positive."""
    positive = np.asarray(labels, dtype=bool)
    if not positive.any():
        return float("nan")
    return float(average_precision_score(positive, scores))


def resampled_auroc(labels: npt.NDArray[Any], scores: npt.NDArray[Any], weights: Floats) -> Floats:
    """Return one AUROC a resample (B,); NaN where a resample lacks one of the two classes.

    Parameters
    ----------
    labels, scores : ndarray, shape (N,)
        Truth and score of each study; ties count one half.
    weights : ndarray, shape (B, N)
        How often each study is drawn.
    """
    positive, negative = _by_score(labels, scores, weights)
    below = np.cumsum(negative, axis=1) - negative
    wins = (positive * (below + 0.5 * negative)).sum(axis=1)
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    return quotient(wins, pairs)


def resampled_average_precision(
    labels: npt.NDArray[Any], scores: npt.NDArray[Any], weights: Floats
) -> Floats:
    """Return one average precision a resample (B,); NaN where a resample has no positive."""
    positive, negative = _by_score(labels, scores, weights)
    positive, negative = positive[:, ::-1], negative[:, ::-1]
    found, called = np.cumsum(positive, axis=1), np.cumsum(positive + negative, axis=1)
    precision = quotient(found, called, otherwise=0.0)
    return quotient((positive * precision).sum(axis=1), found[:, -1])


def _by_score(
    labels: npt.NDArray[Any], scores: npt.NDArray[Any], weights: Floats
) -> tuple[Floats, Floats]:
    """Return the weight of positives and of negatives at each distinct score, ascending (B, G)."""
    order = np.argsort(scores, kind="stable")
    ranked = np.asarray(scores)[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    positive = np.asarray(labels, dtype=bool)[order]
    drawn = np.asarray(weights, dtype=np.float64)[:, order]
    return (
        np.add.reduceat(drawn * positive, starts, axis=1),
        np.add.reduceat(drawn * ~positive, starts, axis=1),
    )


DECISION_METRICS = (
    "sensitivity",
    "specificity",
    "balanced_accuracy",
    "accuracy",
    "precision",
    "f1",
    "f1_weighted",
)
"""``f1`` is of the positive class; ``f1_weighted`` is the mean of both classes' by their counts: it
is what published tables give, and a rare finding flatters it."""


def decision_metrics(
    labels: npt.NDArray[Any], called: npt.NDArray[Any], weights: Floats
) -> dict[str, Floats]:
    """Return every metric of ``DECISION_METRICS``, one value a resample (B,).

    Parameters
    ----------
    labels, called : ndarray, shape (N,), bool
        Truth, and whether the study is called positive.
    weights : ndarray, shape (B, N)
        How often each study is drawn; a row of ones for the studies as they are.

    Notes
    -----
    Without a positive there is no sensitivity, without a negative no specificity (NaN). Precision
    and F1 are 0 where nothing is called positive, as in scikit-learn.
    """
    truth, call = np.asarray(labels, dtype=bool), np.asarray(called, dtype=bool)
    hit, miss, alarm, quiet = (
        weights[:, members].sum(axis=1)
        for members in (truth & call, truth & ~call, ~truth & call, ~truth & ~call)
    )
    sensitivity = quotient(hit, hit + miss)
    specificity = quotient(quiet, quiet + alarm)
    f1 = quotient(2 * hit, 2 * hit + miss + alarm, otherwise=0.0)
    f1_negative = quotient(2 * quiet, 2 * quiet + miss + alarm, otherwise=0.0)
    positives, all_studies = hit + miss, hit + miss + alarm + quiet
    return {
        "sensitivity": sensitivity,
        "specificity": specificity,
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "accuracy": quotient(hit + quiet, all_studies),
        "precision": quotient(hit, hit + alarm, otherwise=0.0),
        "f1": np.where(positives > 0, f1, np.nan),
        "f1_weighted": quotient(
            positives * f1 + (all_studies - positives) * f1_negative, all_studies
        ),
    }

"""Ranking metrics of many resamples at once: a resample is a row of weights on the studies."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_ctclip.evaluation.known_values import quotient

__all__ = ["average_precision", "resampled_auroc", "resampled_average_precision"]

Floats = npt.NDArray[np.float64]


def average_precision(labels: npt.NDArray[Any], scores: npt.NDArray[Any]) -> float:
    """Return the mean precision over the recall steps of scores (N,); NaN without a positive.

    Ties count as one step, as in scikit-learn's ``average_precision_score``.
    """
    weights = np.ones((1, len(scores)))
    return float(resampled_average_precision(labels, scores, weights)[0])


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

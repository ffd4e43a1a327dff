"""Decisions: what a threshold makes of studies, for many resamples at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_ctclip.evaluation.known_values import quotient

__all__ = ["DECISION_METRICS", "decision_metrics"]

Floats = npt.NDArray[np.float64]

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

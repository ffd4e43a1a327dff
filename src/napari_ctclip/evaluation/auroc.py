"""AUROC: how often a positive scores above a negative."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

__all__ = ["auroc", "macro_auroc"]


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
    count = int(positive.sum())
    others = len(positive) - count
    if count == 0 or others == 0:
        return float("nan")
    ranks = rankdata(scores)
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * others))


def macro_auroc(labels: npt.NDArray[Any], scores: npt.NDArray[Any]) -> float:
    """Return the mean AUROC over classes (N, K) that hold both positives and negatives."""
    each = [auroc(labels[:, k], scores[:, k]) for k in range(labels.shape[1])]
    return float(np.nanmean(each)) if np.isfinite(each).any() else float("nan")

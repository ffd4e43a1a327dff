"""Paired tests: DeLong's test of two AUROCs, and Holm's correction for several tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, rankdata

from napari_ctclip.core.errors import DataError

__all__ = ["DeLongTest", "delong_covariance", "delong_test", "holm_adjusted"]

_ROUNDING = 1e-14


@dataclass(frozen=True)
class DeLongTest:
    """Two AUROCs and their difference.

    Attributes
    ----------
    auroc_a, auroc_b : float
        Of the two models.
    difference, low, high : float
        b - a with its 95 % interval.
    p_value : float
        Two-sided; 1 where both models rank alike.
    """

    auroc_a: float
    auroc_b: float
    difference: float
    low: float
    high: float
    p_value: float


def delong_covariance(
    labels: npt.NDArray[Any], scores: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return AUROCs (K,) and their covariance (K, K) of K models' scores (K, N).

    Every study must come from another patient: the formula takes them for independent.

    Raises
    ------
    DataError
        If there are fewer than two positives or two negatives.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson 1988, equations 4 to 8; by mid-ranks as in Sun and Xu 2014.
    """
    positive = np.asarray(labels, dtype=bool)
    count, others = int(positive.sum()), int((~positive).sum())
    if count < 2 or others < 2:
        raise DataError(
            f"DeLong's variance needs two positives and two negatives, got {count} and {others}"
        )
    table = np.asarray(scores, dtype=np.float64)
    overall = rankdata(table, axis=1)
    # placements: the share of the other class that each study ranks above (or below)
    above = (overall[:, positive] - rankdata(table[:, positive], axis=1)) / others
    below = 1 - (overall[:, ~positive] - rankdata(table[:, ~positive], axis=1)) / count
    covariance = np.cov(above) / count + np.cov(below) / others
    return above.mean(axis=1), np.atleast_2d(covariance)


def delong_test(
    labels: npt.NDArray[Any], scores_a: npt.NDArray[Any], scores_b: npt.NDArray[Any]
) -> DeLongTest:
    """Return the test of two models' scores (N,) on the same studies.

    Raises
    ------
    DataError
        If there are fewer than two positives or two negatives.
    """
    (first, second), covariance = delong_covariance(labels, np.stack([scores_a, scores_b]))
    difference = float(second - first)
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    error = float(np.sqrt(max(variance, 0.0)))
    if error < _ROUNDING:
        p = 1.0 if abs(difference) < _ROUNDING else 0.0
    else:
        p = float(2 * norm.sf(abs(difference) / error))
    reach = float(norm.ppf(0.975)) * error
    return DeLongTest(
        float(first), float(second), difference, difference - reach, difference + reach, p
    )


def holm_adjusted(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for being many; NaN stays and does not count.

    References
    ----------
    Holm 1979, the step-down procedure.
    """
    adjusted = [float("nan")] * len(p_values)
    known = sorted((p, i) for i, p in enumerate(p_values) if np.isfinite(p))
    highest = 0.0
    for rank, (p, i) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * p))
        adjusted[i] = highest
    return adjusted

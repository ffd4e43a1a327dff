"""Reliability: whether probabilities come true, and one temperature that mends them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import expit

from napari_ctclip.core.errors import DataError

__all__ = [
    "ReliabilityBin",
    "brier_score",
    "expected_calibration_error",
    "fit_temperature",
    "reliability_bins",
    "tempered",
]

_BINS = 10
_TEMPERATURES = (1e-2, 1e3)  # beyond lies nothing but a step or one half for all


@dataclass(frozen=True)
class ReliabilityBin:
    """Studies of like probability.

    Attributes
    ----------
    probability : float
        Their mean probability.
    observed : float
        Share of positives among them.
    studies : int
        How many they are.
    """

    probability: float
    observed: float
    studies: int


def reliability_bins(
    labels: npt.NDArray[Any], probabilities: npt.NDArray[Any], *, bins: int = _BINS
) -> tuple[ReliabilityBin, ...]:
    """Return the bins of equal width over 0 to 1 that hold studies, lowest first."""
    positive = np.asarray(labels, dtype=bool)
    place = np.clip((np.asarray(probabilities) * bins).astype(int), 0, bins - 1)
    return tuple(
        ReliabilityBin(
            float(probabilities[place == b].mean()),
            float(positive[place == b].mean()),
            int((place == b).sum()),
        )
        for b in np.unique(place)
    )


def expected_calibration_error(
    labels: npt.NDArray[Any], probabilities: npt.NDArray[Any], *, bins: int = _BINS
) -> float:
    """Return the mean distance of probability from observed share; NaN without studies.

    References
    ----------
    Naeini, Cooper and Hauskrecht 2015, equation 2; Guo et al. 2017 (arXiv 1706.04599), equation 3.
    """
    if not len(labels):
        return float("nan")
    found = reliability_bins(labels, probabilities, bins=bins)
    distance = sum(b.studies * abs(b.probability - b.observed) for b in found)
    return float(distance / len(labels))


def brier_score(labels: npt.NDArray[Any], probabilities: npt.NDArray[Any]) -> float:
    """Return the mean squared distance of probability from truth (Brier 1950)."""
    if not len(labels):
        return float("nan")
    return float(np.mean((np.asarray(probabilities) - np.asarray(labels, dtype=float)) ** 2))


def fit_temperature(labels: npt.NDArray[Any], logits: npt.NDArray[Any]) -> float:
    """Return the one number T by which logits (N,) are divided to be likeliest.

    It changes no ranking and cannot move probabilities across one half: a model whose logits are
    all of one sign needs Platt's two numbers.

    Raises
    ------
    DataError
        If only one class is present.

    References
    ----------
    Guo et al. 2017 (arXiv 1706.04599), section 4.2, temperature scaling.
    """
    positive = np.asarray(labels, dtype=bool)
    if positive.all() or not positive.any():
        raise DataError("a temperature needs positives and negatives, got one class")
    sign = np.where(positive, 1.0, -1.0)

    def loss(log_temperature: float) -> float:
        scaled = sign * np.asarray(logits, dtype=np.float64) / np.exp(log_temperature)
        return float(np.mean(np.logaddexp(0.0, -scaled)))

    found = minimize_scalar(loss, bounds=tuple(np.log(_TEMPERATURES)), method="bounded")
    return float(np.exp(found.x))


def tempered(logits: npt.NDArray[Any], temperature: float) -> npt.NDArray[np.float64]:
    """Return the probabilities of logits at a temperature."""
    return np.asarray(expit(np.asarray(logits, dtype=np.float64) / temperature))

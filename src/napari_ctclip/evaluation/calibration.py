"""Calibration: fitted curves, and how far probabilities are from the observed rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from napari_ctclip.core.errors import DataError
from napari_ctclip.evaluation.score_table import Column
from napari_ctclip.models.interface import Calibration

__all__ = [
    "LabelCalibration",
    "ProbabilityQuality",
    "ReliabilityBin",
    "brier_score",
    "calibration_metrics",
    "expected_calibration_error",
    "fit_platt",
    "fit_temperature",
    "reliability_bins",
    "tempered",
]

_BINS = 10
_TEMPERATURES = (1e-2, 1e3)  # beyond lies nothing but a step or one half for all


def fit_platt(labels: npt.NDArray[Any], scores: npt.NDArray[Any], *, source: str) -> Calibration:
    """Return the logistic curve through scores (N,) with labels (N,).

    Targets are pulled in from 0 and 1 by the counts, so that a perfect separation stays finite.

    Raises
    ------
    DataError
        If only one class is present.

    References
    ----------
    Platt 1999, "Probabilistic outputs for support vector machines", section 2.2.
    """
    positive = np.asarray(labels, dtype=bool)
    count, others = int(positive.sum()), int((~positive).sum())
    if not count or not others:
        raise DataError(
            f"calibration needs both classes, got {count} positives, {others} negatives"
        )
    target = np.where(positive, (count + 1) / (count + 2), 1 / (others + 2))
    x = np.asarray(scores, dtype=np.float64)[:, None]
    # a soft target is a positive and a negative of these weights
    truth, weight = np.r_[np.ones(len(x)), np.zeros(len(x))], np.r_[target, 1 - target]
    curve = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10)
    curve.fit(np.r_[x, x], truth, sample_weight=weight)
    return Calibration(float(curve.coef_[0, 0]), float(curve.intercept_[0]), source)


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
    bin_of = np.clip((np.asarray(probabilities) * bins).astype(int), 0, bins - 1)
    return tuple(
        ReliabilityBin(
            float(probabilities[bin_of == b].mean()),
            float(positive[bin_of == b].mean()),
            int((bin_of == b).sum()),
        )
        for b in np.unique(bin_of)
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


@dataclass(frozen=True)
class ProbabilityQuality:
    """How far one kind of probability is from what comes true.

    Attributes
    ----------
    expected_calibration_error, brier : float
        NaN without studies.
    bins : tuple of ReliabilityBin
        For the reliability plot.
    """

    expected_calibration_error: float
    brier: float
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class LabelCalibration:
    """One finding's probabilities.

    Attributes
    ----------
    label : str
        The finding.
    kinds : mapping of str to ProbabilityQuality
        ``"own"`` (as the model gives them); ``"temperature"`` (one number for all findings) and
        ``"platt"`` (two for each), fitted on the other split, where that was possible.
    """

    label: str
    kinds: Mapping[str, ProbabilityQuality]


def calibration_metrics(
    evaluated: Sequence[Column], other: Sequence[Column]
) -> tuple[list[LabelCalibration], float]:
    """Return the calibration of every finding, and the temperature (NaN if none was fitted).

    Parameters
    ----------
    evaluated : sequence of Column
        Findings of the evaluated split.
    other : sequence of Column
        The same findings on the split that may be learnt from; empty if there is none.
    """
    temperature = _temperature(other)
    fitted_on = {column.label: column for column in other}
    found = []
    for column in evaluated:
        probabilities = {"own": column.probability}
        if np.isfinite(temperature):
            probabilities["temperature"] = tempered(column.logit, temperature)
        platt = _platt(fitted_on.get(column.label), column)
        if platt is not None:
            probabilities["platt"] = platt
        kinds = {name: _quality(column, values) for name, values in probabilities.items()}
        found.append(LabelCalibration(column.label, kinds))
    return found, temperature


def _temperature(other: Sequence[Column]) -> float:
    truth = np.concatenate([column.truth for column in other]) if other else np.zeros(0, bool)
    if len(np.unique(truth)) < 2:
        return float("nan")
    return fit_temperature(truth, np.concatenate([column.logit for column in other]))


def _platt(other: Column | None, column: Column) -> npt.NDArray[np.float64] | None:
    if other is None:
        return None
    try:
        curve = fit_platt(other.truth, other.similarity, source="the other split")
    except DataError:  # one class only: nothing to learn from
        return None
    return np.asarray(expit(curve.slope * column.similarity + curve.intercept))


def _quality(column: Column, values: npt.NDArray[np.float64]) -> ProbabilityQuality:
    return ProbabilityQuality(
        expected_calibration_error(column.truth, values),
        brier_score(column.truth, values),
        reliability_bins(column.truth, values) if len(values) else (),
    )

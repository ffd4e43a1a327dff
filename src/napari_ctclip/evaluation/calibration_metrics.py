"""Calibration metrics: probabilities as the model gives them, and as another split mends them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from napari_ctclip.core.errors import DataError
from napari_ctclip.evaluation.calibration import fit_platt
from napari_ctclip.evaluation.reliability import (
    ReliabilityBin,
    brier_score,
    expected_calibration_error,
    fit_temperature,
    reliability_bins,
    tempered,
)
from napari_ctclip.evaluation.score_table import Column

__all__ = ["LabelCalibration", "ProbabilityQuality", "calibration_metrics"]


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

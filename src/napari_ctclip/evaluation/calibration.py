"""Calibration: from region scores to probabilities by Platt's two numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import DataError
from napari_ctclip.models.interface import Calibration

__all__ = ["fit_platt"]

_ITERATIONS = 100


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
    x = np.asarray(scores, dtype=np.float64)
    centre, spread = x.mean(), max(float(x.std()), 1e-9)
    design = np.stack([(x - centre) / spread, np.ones_like(x)], axis=1)
    weights = np.zeros(2)
    for _ in range(_ITERATIONS):
        p = 1 / (1 + np.exp(-design @ weights))
        gradient = design.T @ (p - target)
        hessian = (design * (p * (1 - p))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        weights -= np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-9:
            break
    slope = weights[0] / spread
    return Calibration(float(slope), float(weights[1] - slope * centre), source)

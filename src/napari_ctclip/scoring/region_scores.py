"""Region scores: one answer an organ, and one for the whole scan."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.similarity_map import Peak, SimilarityMap
from napari_ctclip.models.interface import Calibration
from napari_ctclip.regions.token_grid import TokenRegions

__all__ = ["READOUT_ML", "WHOLE_SCAN", "RegionScore", "region_scores"]

WHOLE_SCAN = "whole scan"
"""Name of the row that looks everywhere."""

READOUT_ML = 0.3
"""Ours: a region's score is the mean over its highest 0.3 ml, a nodule of 8 mm: less and noise
decides, more and small lesions drown."""


@dataclass(frozen=True)
class RegionScore:
    """How much one region answers to a prompt.

    Attributes
    ----------
    anatomy : str
        An organ, or ``WHOLE_SCAN``.
    similarity : float
        The mean similarity of its highest tokens.
    probability : float
        The calibrated one where the model brings a calibration, else the softmax of the contrast.
    peak : Peak
        Its highest token.
    """

    anatomy: str
    similarity: float
    probability: float
    peak: Peak


def region_scores(
    similarity_map: SimilarityMap,
    regions: TokenRegions | None,
    *,
    scale: float,
    calibration: Calibration | None = None,
) -> tuple[RegionScore, ...]:
    """Return the whole scan's score, then one for each organ with a token in the field of view."""
    flat = similarity_map.values.ravel()
    token_ml = similarity_map.geometry.voxel_volume_ml
    count = max(1, round(READOUT_ML / token_ml))
    everywhere = np.flatnonzero(np.isfinite(flat))
    scores = []
    for anatomy, tokens in ((WHOLE_SCAN, everywhere), *_organs(regions)):
        usable = tokens[np.isfinite(flat[tokens])] if anatomy != WHOLE_SCAN else tokens
        if not len(usable):
            continue
        similarity, best = _highest(flat[usable], count)
        scores.append(
            RegionScore(
                anatomy,
                similarity,
                probability(similarity, scale=scale, calibration=calibration),
                _peak_at(similarity_map, int(usable[best])),
            )
        )
    return tuple(scores)


def probability(similarity: float, *, scale: float, calibration: Calibration | None) -> float:
    """Return the probability of a region's similarity."""
    logit = scale * similarity
    if calibration is not None:
        logit = calibration.slope * similarity + calibration.intercept
    return 1.0 / (1.0 + math.exp(-min(max(logit, -60.0), 60.0)))


def _organs(regions: TokenRegions | None) -> tuple[tuple[str, npt.NDArray[np.intp]], ...]:
    return () if regions is None else tuple(regions.tokens.items())


def _highest(values: npt.NDArray[np.float32], count: int) -> tuple[float, int]:
    """Return the mean of the highest ``count`` values and the index of the highest."""
    best = int(np.argmax(values))
    if len(values) <= count:
        return float(values.mean()), best
    return float(np.partition(values, len(values) - count)[-count:].mean()), best


def _peak_at(similarity_map: SimilarityMap, flat_index: int) -> Peak:
    z, y, x = (int(i) for i in np.unravel_index(flat_index, similarity_map.values.shape))
    right, anterior, superior = similarity_map.geometry.index_to_world((z, y, x)).tolist()
    return Peak((z, y, x), (right, anterior, superior), float(similarity_map.values[z, y, x]))

"""Localisation: whether a heatmap points to the lesion, and how well it separates its tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.similarity_map import Peak, SimilarityMap
from napari_ctclip.evaluation.bootstrap import (
    Interval,
    draw_weights,
    interval_of,
    with_exact_ends,
)
from napari_ctclip.evaluation.metrics import average_precision, quotient
from napari_ctclip.regions.token_grid import token_regions

__all__ = [
    "SIZES_MM",
    "LesionTokens",
    "Localisation",
    "LocalisationRow",
    "lesion_diameter_mm",
    "lesion_tokens",
    "localisation_rows",
    "localise",
]

SIZES_MM: tuple[tuple[float, float], ...] = ((0, 6), (6, 10), (10, 20), (20, 30), (30, np.inf))
"""Diameters that are counted apart; 6 mm is where guidelines begin to follow a solid nodule
(Fleischner Society 2017), 30 mm where a nodule is called a mass."""

_LESION = "lesion"


@dataclass(frozen=True)
class Localisation:
    """One heatmap compared with one lesion mask.

    Attributes
    ----------
    hit : bool
        Whether the highest token of the region that was read out touches the lesion: the pointing
        game (Zhang et al. 2018).
    auprc : float
        Average precision of the similarity of tokens, those touching the lesion as positives,
        over all tokens of the body; NaN if none can answer.
    chance : float
        What guessing reaches there: the share of tokens that touch the lesion.
    diameter_mm : float
        Of the ball with the volume of the largest lesion.
    """

    hit: bool
    auprc: float
    chance: float
    diameter_mm: float


@dataclass(frozen=True)
class LocalisationRow:
    """All heatmaps of a label, or those of lesions of one size.

    Attributes
    ----------
    label, size : str
        ``size`` is ``"all"`` or a range of diameters.
    studies : int
        With a mask.
    pointing, auprc, chance : Interval
        Means with intervals over patients.
    """

    label: str
    size: str
    studies: int
    pointing: Interval
    auprc: Interval
    chance: Interval


@dataclass(frozen=True, eq=False)
class LesionTokens:
    """A lesion on the token grid: prepared once, compared with many maps.

    Attributes
    ----------
    touched : ndarray, shape (N,), bool
        Tokens that the lesion touches, flat.
    diameter_mm : float
        Of the ball with the volume of the largest lesion.
    """

    touched: npt.NDArray[np.bool_]
    diameter_mm: float

    def hit_by(self, peak: Peak, shape: tuple[int, ...]) -> bool:
        """Return whether a peak on the token grid (d, h, w) touches the lesion."""
        return bool(self.touched[np.ravel_multi_index(peak.index, shape)])


def lesion_tokens(
    mask: npt.NDArray[np.bool_],
    *,
    volume_geometry: Geometry,
    input_geometry: Geometry,
    patch_size: tuple[int, int, int],
) -> LesionTokens:
    """Return the tokens of a lesion.

    Parameters
    ----------
    mask : ndarray, shape (D, H, W), bool
        The lesion on the scan's own grid.
    volume_geometry, input_geometry : Geometry
        Grids of the scan and of the prepared image.
    patch_size : tuple of int
        Voxels (z, y, x) of the prepared image behind one token.
    """
    masks = OrganMasks(mask.astype(np.uint8), {_LESION: 1}, volume_geometry, source=_LESION)
    touched = np.zeros(math.prod(input_geometry.coarsened(patch_size).shape), dtype=bool)
    # an organ that is not aerated takes every token it touches
    found = token_regions(masks, input_geometry, patch_size).tokens.get(_LESION)
    if found is not None:
        touched[found] = True
    return LesionTokens(touched, lesion_diameter_mm(mask, volume_geometry))


def localise(similarity_map: SimilarityMap, peak: Peak, lesion: LesionTokens) -> Localisation:
    """Return how a map lies on a lesion.

    Parameters
    ----------
    similarity_map : SimilarityMap
        On the token grid (d, h, w).
    peak : Peak
        Highest token of the region that was read out.
    lesion : LesionTokens
        On the same grid.
    """
    values = similarity_map.values.ravel()
    inside = np.isfinite(values)
    positive = lesion.touched[inside]
    precision, chance = float("nan"), float("nan")
    if positive.any():
        precision = average_precision(positive, values[inside])
        chance = float(positive.mean())
    hit = lesion.hit_by(peak, similarity_map.values.shape)
    return Localisation(hit, precision, chance, lesion.diameter_mm)


def lesion_diameter_mm(mask: npt.NDArray[np.bool_], geometry: Geometry) -> float:
    """Return the diameter of the ball with the volume of a mask's largest connected part."""
    parts, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    if not count:
        return 0.0
    voxels = int(np.bincount(parts.ravel())[1:].max())
    cubic_mm = voxels * geometry.voxel_volume_ml * 1000
    return float((6 * cubic_mm / np.pi) ** (1 / 3))


def localisation_rows(
    label: str,
    patients: Sequence[str],
    found: Sequence[Localisation],
    *,
    replicates: int,
    seed: int = 0,
) -> list[LocalisationRow]:
    """Return a label's row of all lesions and one for each size that occurs; [] without any."""
    if not found:
        return []
    diameters = np.array([one.diameter_mm for one in found])
    chosen = [("all", np.ones(len(found), dtype=bool))]
    for low, high in SIZES_MM:
        members = (diameters >= low) & (diameters < high)
        if members.any():
            name = f"{low:g} mm and more" if np.isinf(high) else f"{low:g} to {high:g} mm"
            chosen.append((name, members))
    rows = []
    for name, members in chosen:
        here = [patients[i] for i in np.flatnonzero(members).tolist()]
        weights = draw_weights(here, np.ones(len(here)), replicates=replicates, seed=seed)
        columns = np.array([(one.hit, one.auprc, one.chance) for one in found])[members]
        pointing, auprc, chance = (_mean(columns[:, i], weights) for i in range(3))
        pointing = with_exact_ends(pointing, len(set(here)))
        rows.append(LocalisationRow(label, name, len(here), pointing, auprc, chance))
    return rows


def _mean(values: npt.NDArray[Any], weights: npt.NDArray[np.float64]) -> Interval:
    known = np.isfinite(values)
    kept = np.where(known, values, 0.0)
    return interval_of(lambda drawn: quotient(drawn @ kept, drawn @ known), weights)

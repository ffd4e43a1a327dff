"""Localisation: whether a heatmap points to the lesion, and how well it tells its tokens apart."""

from __future__ import annotations

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
    "Localisation",
    "LocalisationRow",
    "lesion_diameter_mm",
    "localisation_rows",
    "localise",
]

SIZES_MM: tuple[tuple[float, float], ...] = ((0, 6), (6, 10), (10, 20), (20, 30), (30, np.inf))
"""Diameters that are counted apart; 6 mm is where guidelines begin to follow a solid nodule
(Fleischner Society 2017), 30 mm where a nodule is called a mass."""

_LESION = "lesion"


@dataclass(frozen=True)
class Localisation:
    """One heatmap held against one lesion mask.

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


def localise(
    similarity_map: SimilarityMap,
    peak: Peak,
    mask: npt.NDArray[np.bool_],
    *,
    volume_geometry: Geometry,
    input_geometry: Geometry,
    patch_size: tuple[int, int, int],
) -> Localisation:
    """Return how a map lies on a lesion.

    Parameters
    ----------
    similarity_map : SimilarityMap
        On the token grid (d, h, w).
    peak : Peak
        Highest token of the region that was read out.
    mask : ndarray, shape (D, H, W), bool
        The lesion on the scan's own grid.
    volume_geometry, input_geometry : Geometry
        Grids of the scan and of the prepared image.
    patch_size : tuple of int
        Voxels (z, y, x) of the prepared image behind one token.
    """
    masks = OrganMasks(mask.astype(np.uint8), {_LESION: 1}, volume_geometry, source=_LESION)
    # an organ that is not aerated takes every token it touches
    touched = token_regions(masks, input_geometry, patch_size).tokens.get(_LESION)
    values = similarity_map.values.ravel()
    inside = np.isfinite(values)
    positive = np.zeros(len(values), dtype=bool)
    if touched is not None:
        positive[touched] = True
    flat_peak = int(np.ravel_multi_index(peak.index, similarity_map.values.shape))
    precision, chance = float("nan"), float("nan")
    if positive[inside].any():
        precision = average_precision(positive[inside], values[inside])
        chance = float(positive[inside].mean())
    diameter = lesion_diameter_mm(mask, volume_geometry)
    return Localisation(bool(positive[flat_peak]), precision, chance, diameter)


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

"""Slice profile: one answer's similarity in every axial slice of the scan, and its peaks there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.geometry import INTERNAL_AXES, Geometry
from napari_ctclip.core.similarity_map import Peak
from napari_ctclip.regions.token_grid import TokenRegions
from napari_ctclip.scoring.answer import Answer
from napari_ctclip.scoring.region_scores import WHOLE_SCAN

__all__ = ["SliceProfile", "slice_profile"]

_SHARE_OF_HIGHEST = 0.5
"""Ours: a peak rises at least half way from the median slice to the highest one."""


@dataclass(frozen=True, eq=False)
class SliceProfile:
    """Where along the body an answer is high.

    Attributes
    ----------
    anatomy : str
        The organ whose tokens count, or ``WHOLE_SCAN``: all of the body.
    highest : ndarray, shape (D,), float32
        The highest similarity in each axial slice of the scan, superior first; NaN where the
        anatomy has no token.
    mean : ndarray, shape (D,), float32
        The mean similarity there.
    peaks : tuple of Peak
        The highest token of every layer of tokens that stands out, superior first.
    """

    anatomy: str
    highest: npt.NDArray[np.float32]
    mean: npt.NDArray[np.float32]
    peaks: tuple[Peak, ...]

    @property
    def range(self) -> tuple[float, float]:
        """Lowest mean and highest value; (0, 0) if there is no token at all."""
        if not np.isfinite(self.highest).any():
            return 0.0, 0.0
        return float(np.nanmin(self.mean)), float(np.nanmax(self.highest))


def slice_profile(
    answer: Answer, scan: Geometry, regions: TokenRegions | None = None
) -> SliceProfile:
    """Return an answer slice by slice, in the anatomy its score is taken from.

    A slice has the values of the layer of tokens it lies in, as the heatmap drawn on it has.

    Parameters
    ----------
    answer : Answer
        The answer, on a token grid parallel to the scan's.
    scan : Geometry
        The grid of the scan, axes Inferior, Posterior, Left; D slices.
    regions : TokenRegions, optional
        The tokens of every organ; without them all of the body counts.
    """
    anatomy = answer.focus.anatomy
    usable = np.isfinite(answer.similarity_map.values)
    if regions is not None and anatomy in regions.tokens:
        inside = np.zeros(usable.size, dtype=np.bool_)
        inside[regions.tokens[anatomy]] = True
        usable &= inside.reshape(usable.shape)
    else:
        anatomy = WHOLE_SCAN
    transform = answer.similarity_map.geometry.transform_to(INTERNAL_AXES)
    grid = answer.similarity_map.geometry.reoriented(transform)
    values = transform.apply(answer.similarity_map.values)
    masked = np.ma.array(values, mask=~transform.apply(usable))
    highest = masked.max(axis=(1, 2)).filled(np.nan).astype(np.float32)
    mean = masked.mean(axis=(1, 2)).filled(np.nan).astype(np.float32)
    layer, is_inside = _layer_of_slices(scan, grid)
    return SliceProfile(
        anatomy,
        np.where(is_inside, highest[layer], np.float32(np.nan)),
        np.where(is_inside, mean[layer], np.float32(np.nan)),
        tuple(_peak(answer, masked, grid, z) for z in _standing_out(highest)),
    )


def _layer_of_slices(
    scan: Geometry, grid: Geometry
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Return the layer of tokens (D,) that each slice lies in, and whether it lies in any."""
    middle = (np.asarray(scan.shape) - 1) / 2
    slices = np.arange(scan.shape[0])
    index = np.column_stack([slices, np.full((len(slices), 2), middle[1:])])
    layer = np.rint(grid.world_to_index(scan.index_to_world(index))[:, 0])
    is_inside = (layer >= 0) & (layer < grid.shape[0])
    return np.clip(layer, 0, grid.shape[0] - 1).astype(np.intp), is_inside


def _standing_out(highest: npt.NDArray[np.float32]) -> list[int]:
    """Return the layers that no neighbour exceeds and that rise well above the median layer."""
    if not np.isfinite(highest).any():
        return []
    median, top = float(np.nanmedian(highest)), float(np.nanmax(highest))
    least = median + _SHARE_OF_HIGHEST * (top - median)
    padded = np.concatenate(
        [[-np.inf], np.where(np.isfinite(highest), highest, -np.inf), [-np.inf]]
    )
    # the first of equal neighbours stands for them
    is_peak = (padded[1:-1] > padded[:-2]) & (padded[1:-1] >= padded[2:]) & (padded[1:-1] >= least)
    return [int(z) for z in np.flatnonzero(is_peak)]


def _peak(answer: Answer, masked: np.ma.MaskedArray[Any, Any], grid: Geometry, z: int) -> Peak:
    """Return the highest token of a layer of ``grid``, named on the map's own grid."""
    y, x = (int(i) for i in np.unravel_index(int(np.ma.argmax(masked[z])), masked.shape[1:]))
    world = grid.index_to_world((z, y, x))
    index = np.rint(answer.similarity_map.geometry.world_to_index(world)).astype(int).tolist()
    right, anterior, superior = world.tolist()
    return Peak((index[0], index[1], index[2]), (right, anterior, superior), float(masked[z, y, x]))

"""Dense lung: masses and consolidation that take the place of lung."""

from __future__ import annotations

import numpy as np

from napari_ctclip.segmentation.morphology import Mask, dilated, opened
from napari_ctclip.segmentation.working_grid import WorkingGrid

__all__ = ["find_dense_lung"]

_REACH_MM = 70.0
"""Ours: a lesion has lung within this along most directions; a mass of 7 cm is found whole."""

_SIDES = 2
"""Ours: of left, right, front and back, how many see the lung, besides above and below."""

_THICK_MM = 8.0
"""Ours: half the thickness from which an addition is a lesion; the edges of a normal heart and
hilum see lung all around too, but only in thinner layers."""

_RIM_MM = 7.0
"""Ours: how far from its thick part a lesion is followed."""

_TISSUE_BELOW_HU = 150
"""Ours: enhanced atelectasis and tumour stay below; bone and opacified heart do not."""


def find_dense_lung(grid: WorkingGrid, lung: Mask, tissue: Mask) -> Mask:
    """Return soft tissue (d, h, w) with lung above it, below it and on two more sides.

    What lies on the diaphragm has no lung below: an effusion or a consolidated base cannot be told
    from liver and spleen this way and is left out.

    Parameters
    ----------
    grid : WorkingGrid
        Block means, HU.
    lung : ndarray of bool, shape (d, h, w)
        One lung.
    tissue : ndarray of bool, shape (d, h, w)
        Where to look: body that is no lung, airway or bone.
    """
    if not lung.any():
        return lung
    reach = [max(1, round(_REACH_MM / s)) for s in grid.spacing_mm]
    sides = np.zeros(lung.shape, dtype=np.uint8)
    for axis in (1, 2):
        sides += _seen_before(lung, axis, reach=reach[axis])
        sides += _seen_behind(lung, axis, reach=reach[axis])
    found = tissue & (grid.hu < _TISSUE_BELOW_HU) & (sides >= _SIDES)
    found &= _seen_before(lung, 0, reach=reach[0]) & _seen_behind(lung, 0, reach=reach[0])
    thick = opened(found, _THICK_MM, spacing_mm=grid.spacing_mm)
    return found & dilated(thick, _RIM_MM, spacing_mm=grid.spacing_mm)


def _seen_before(lung: Mask, axis: int, *, reach: int) -> Mask:
    """Return whether lung lies within ``reach`` voxels before each voxel along an axis."""
    shape = [1, 1, 1]
    shape[axis] = lung.shape[axis]
    index = np.arange(lung.shape[axis], dtype=np.int16).reshape(shape)
    last = np.where(lung, index, np.int16(-reach - 1))
    np.maximum.accumulate(last, axis=axis, out=last)
    return np.asarray(index - last <= reach)


def _seen_behind(lung: Mask, axis: int, *, reach: int) -> Mask:
    """Return whether lung lies within ``reach`` voxels behind each voxel along an axis."""
    return np.flip(_seen_before(np.flip(lung, axis), axis, reach=reach), axis)

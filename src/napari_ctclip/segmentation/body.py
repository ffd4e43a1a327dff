"""The body: everything inside the skin, without table, clothes and the air around."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_ctclip.segmentation.morphology import Mask, components, dilated, opened
from napari_ctclip.segmentation.working_grid import WorkingGrid

__all__ = ["find_body"]

_TISSUE_ABOVE_HU = -300
"""Ours: midway between fat and lung; mattresses and clothes stay below it."""

_TABLE_SHEET_MM = 4.5
"""Ours: half the thickness below which a sheet is table or cloth, not body."""

_ARM_SHARE = 0.02
"""Ours: an arm that hangs free has more than this share of the torso."""

_LUNG_HU = (-945, -600)
"""Ours: blocks of lung; air around the body, foam and clothes lie outside."""

_CUT_LUNG_ML = 60.0
"""Ours: less is a fold of the skin or a gap under an arm."""

_WALLED_SHARE = 0.3
"""Ours: so much of a cut lung has torso on three sides; foam under the back has none."""

_FOLD_MM = 5.0
"""Ours: half the width of such a fold."""

_PADDING_HU = -1010
"""Ours: outside a round field of view scanners write -1024 or less."""

_ARM_HU = (-200, 200)
"""Ours: median CT number of an arm; carbon plates lie outside."""


def find_body(grid: WorkingGrid) -> Mask:
    """Return the voxels (d, h, w) inside the skin, lungs and bowel gas included."""
    tissue = opened(grid.hu > _TISSUE_ABOVE_HU, _TABLE_SHEET_MM, spacing_mm=grid.spacing_mm)
    labels, count = components(tissue)
    if not count:
        return tissue
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    keep = np.zeros(count + 1, dtype=bool)
    keep[int(np.argmax(sizes))] = True
    for label in np.flatnonzero(sizes > _ARM_SHARE * sizes.max()):
        median = float(np.median(grid.hu[labels == label]))
        keep[label] |= _ARM_HU[0] < median < _ARM_HU[1]
    torso = keep[labels]
    inside = filled_in_slices(torso)
    return inside | _lung_cut_by_view(grid, torso, inside)


def filled_in_slices(mask: Mask) -> Mask:
    """Return the mask with all that it surrounds within an axial slice.

    By slices and not in 3D: through nose and mouth the lungs are open to the air around.
    """
    labels, _ = components(~mask, within_slices=True)
    border = np.unique(np.concatenate([e.ravel() for e in _edges(labels)]))
    outside = np.zeros(int(labels.max()) + 1, dtype=bool)
    outside[border] = True
    outside[0] = False
    return ~outside[labels]


def _lung_cut_by_view(grid: WorkingGrid, torso: Mask, inside: Mask) -> Mask:
    """Return lung (d, h, w) that is open to the edge of a field of view narrower than the body."""
    low, high = _LUNG_HU
    lung = ~inside & (grid.hu > low) & (grid.hu < high)
    walled = _walled(torso)
    if (lung & walled).sum() * grid.voxel_ml < _CUT_LUNG_ML:
        return np.zeros_like(lung)
    lung = opened(lung, _FOLD_MM, spacing_mm=grid.spacing_mm)
    labels, count = components(lung)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    keep = np.bincount(labels[walled], minlength=count + 1) > _WALLED_SHARE * sizes
    keep &= sizes * grid.voxel_ml > _CUT_LUNG_ML
    keep[0] = False
    grown = dilated(keep[labels], 2 * _FOLD_MM, spacing_mm=grid.spacing_mm)
    return grown & ~inside & (grid.hu > _PADDING_HU)


def _walled(torso: Mask) -> Mask:
    """Return the voxels with torso on at least three of their four sides within the slice."""
    sides = np.zeros(torso.shape, dtype=np.uint8)
    for axis in (1, 2):
        sides += np.logical_or.accumulate(torso, axis=axis)
        sides += np.flip(np.logical_or.accumulate(np.flip(torso, axis), axis=axis), axis)
    return np.asarray(sides >= 3)


def _edges(labels: npt.NDArray[np.int32]) -> list[npt.NDArray[np.int32]]:
    """Return the four lateral faces of an array (d, h, w)."""
    return [labels[:, 0, :], labels[:, -1, :], labels[:, :, 0], labels[:, :, -1]]

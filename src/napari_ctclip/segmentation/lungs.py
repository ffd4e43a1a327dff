"""The lungs: air inside the body that is neither airway nor bowel gas, one mask a side."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_ctclip.segmentation.body import filled_in_slices
from napari_ctclip.segmentation.morphology import (
    Mask,
    bounding_box,
    closed,
    components,
    dilated,
    eroded,
    opened,
    touching,
)
from napari_ctclip.segmentation.working_grid import WorkingGrid

__all__ = ["AIR_BELOW_HU", "find_dense_lung", "find_lungs"]

AIR_BELOW_HU = -400
"""Ours: midway between lung (-850) and soft tissue (50)."""

_SMALLEST_ML = 15.0
"""Ours: a smaller piece of air is no lung."""

_GAS_BELOW_HU = -955
"""Ours: median of the core of bowel gas; severe emphysema stays above."""

_CERTAIN_ML = 900.0
"""Ours: bowel gas never has this volume in one piece; a pneumothorax with its lung may."""

_BOWEL_ML = 200.0
"""Ours: a piece below and in front of whole lungs, smaller than this, is stomach or colon."""

_CLOSING_MM = 13.0
"""Ours: a pleural or hilar lesion up to twice this wide stays in the lung."""

_ENDS_BELOW = 0.5
"""Ours: a lesion has lung under at least this share of its lowest slice; a dome has not."""

_JUNCTION_MM = (2.5, 4.0, 6.0, 9.0, 13.0)
"""Ours: half thicknesses at which the bridge between touching lungs is looked for."""

_SMALLER_SIDE = 0.08
"""Ours: least share of all lung that the smaller of two lungs has."""

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


def find_lungs(grid: WorkingGrid, air: Mask, *, middle: int) -> tuple[Mask, Mask]:
    """Return the right and the left lung (d, h, w), with vessels and lesions inside.

    Parameters
    ----------
    grid : WorkingGrid
        Block means, HU; x points to the patient's left.
    air : ndarray of bool, shape (d, h, w)
        Air and lung inside the body, airways taken out.
    middle : int
        Column of the spine.
    """
    lung = _without_gas(grid, air)
    right, left = _split(grid, lung, middle)
    whole_right, whole_left = _completed(grid, right), _completed(grid, left)
    return whole_right & ~left, whole_left & ~right & ~whole_right


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


def _without_gas(grid: WorkingGrid, air: Mask) -> Mask:
    """Return the pieces of air (d, h, w) that are lung."""
    labels, count = components(air)
    volumes = np.bincount(labels.ravel(), minlength=count + 1) * grid.voxel_ml
    volumes[0] = 0.0
    keep = volumes > _CERTAIN_ML
    for candidate in np.flatnonzero((volumes >= _SMALLEST_ML) & ~keep):
        keep[candidate] = _is_lung(grid, labels == candidate)
    lung = keep[labels]
    lowest = _abdomen_start(lung)
    if volumes[keep].sum() > _CERTAIN_ML:
        for label, box in enumerate(ndimage.find_objects(labels), start=1):
            if keep[label] and volumes[label] < _BOWEL_ML and _lies_in_front_below(box, lowest):
                lung[box] &= labels[box] != label
    return lung


def _abdomen_start(lung: Mask) -> tuple[int, int]:
    """Return the slice below which a quarter of the lung lies, and the lung's middle row."""
    depths, rows = np.cumsum(lung.sum(axis=(1, 2))), np.cumsum(lung.sum(axis=(0, 2)))
    z = int(np.searchsorted(depths, 0.75 * depths[-1]))
    return z, int(np.searchsorted(rows, 0.5 * rows[-1]))


def _lies_in_front_below(box: tuple[slice, ...], lowest: tuple[int, int]) -> bool:
    """Return whether a piece lies where stomach and colon do, under the lungs in front."""
    return bool(box[0].start > lowest[0] and (box[1].start + box[1].stop) / 2 < lowest[1])


def _is_lung(grid: WorkingGrid, piece: Mask) -> bool:
    """Return whether the core of a piece of air has the density of lung."""
    core = eroded(piece, 1.1 * max(grid.spacing_mm[1:]), spacing_mm=grid.spacing_mm)
    if core.sum() * grid.voxel_ml < 0.1 * _SMALLEST_ML:
        return False
    return bool(np.median(grid.hu[core]) > _GAS_BELOW_HU)


def _split(grid: WorkingGrid, lung: Mask, middle: int) -> tuple[Mask, Mask]:
    """Return right and left lung, parted where they touch in front or behind."""
    right = np.zeros_like(lung)
    left = np.zeros_like(lung)
    labels, _ = components(lung)
    total = int(lung.sum())
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        piece = labels[box] == label
        local = middle - box[2].start
        cores = _cores(grid, piece, local, total)
        if cores is None:
            side = left if _share_left(piece, local) > 0.5 else right
            side[box] |= piece
        else:
            parted = _grown_back(grid, piece, *cores)
            right[box] |= parted[0]
            left[box] |= parted[1]
    return right, left


def _cores(grid: WorkingGrid, piece: Mask, middle: int, total: int) -> tuple[Mask, Mask] | None:
    """Return the cores of right and left lung if a piece holds both, else None.

    The piece is eroded until its bridge breaks; each core has to lie on its side of the middle.
    """
    if not 0.1 < _share_left(piece, middle) < 0.9:
        return None
    margin = [(1, 1)] * 3
    depth = ndimage.distance_transform_edt(np.pad(piece, margin), sampling=grid.spacing_mm)
    for radius in _JUNCTION_MM:
        labels, count = components(depth[1:-1, 1:-1, 1:-1] > radius)
        sides = [np.zeros(count + 1, dtype=bool), np.zeros(count + 1, dtype=bool)]
        sizes = np.bincount(labels.ravel(), minlength=count + 1)
        sizes[0] = 0
        lefts = np.bincount(labels[..., max(0, middle) :].ravel(), minlength=count + 1)
        share = lefts / np.maximum(sizes, 1)
        if ((share > 0.2) & (share < 0.8) & (sizes > _SMALLER_SIDE * total)).any():
            continue
        sides[0][1:], sides[1][1:] = share[1:] <= 0.5, share[1:] > 0.5
        right, left = sides[0][labels], sides[1][labels]
        if min(right.sum(), left.sum()) > 0.3 * _SMALLER_SIDE * total:
            return right, left
    return None


def _share_left(piece: Mask, middle: int) -> float:
    """Return the share of a piece on the patient's left of column ``middle``."""
    return float(piece[..., max(0, middle) :].sum()) / max(1, int(piece.sum()))


def _grown_back(grid: WorkingGrid, piece: Mask, right: Mask, left: Mask) -> tuple[Mask, Mask]:
    """Return the piece parted between its cores; what is joined to only one goes there."""
    to_left = ndimage.distance_transform_edt(~left, sampling=grid.spacing_mm)
    to_right = ndimage.distance_transform_edt(~right, sampling=grid.spacing_mm)
    nearer_left = to_left < to_right
    own_right = touching(piece & ~nearer_left, right)
    own_left = touching(piece & nearer_left, left)
    rest = piece & ~own_right & ~own_left
    from_left = touching(rest | own_right, own_right)
    return own_right | (rest & from_left), own_left | (rest & ~from_left)


def _filled(lung: Mask) -> Mask:
    """Return one lung with the lesions that it surrounds, in space or within a slice.

    A dome of the diaphragm is surrounded within its slices too, but goes on below; a lesion that
    hangs on the hilum goes on above or beside.
    """
    solid = np.asarray(ndimage.binary_fill_holes(lung))
    holes = filled_in_slices(solid) & ~solid
    labels, _ = components(holes)
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        hole = labels[box] == label
        bottom = box[0].stop
        lowest = hole[-1]
        if bottom == lung.shape[0] or not lowest.any():
            continue
        below = solid[bottom][box[1:]][lowest]
        if below.mean() > _ENDS_BELOW:
            solid[box] |= hole
    return solid


def _completed(grid: WorkingGrid, lung: Mask) -> Mask:
    """Return one lung with vessels, nodules and lesions at its surface."""
    if not lung.any():
        return lung
    whole = lung.copy()
    box = bounding_box(whole)
    whole[box] = _filled(whole[box])
    whole = closed(whole, _CLOSING_MM, spacing_mm=grid.spacing_mm)
    box = bounding_box(whole)
    whole[box] = _filled(whole[box])
    return whole


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

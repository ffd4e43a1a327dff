"""The mediastinum: soft tissue between the lungs, heart and great vessels with it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_ctclip.segmentation.morphology import Mask
from napari_ctclip.segmentation.working_grid import WorkingGrid

__all__ = ["find_mediastinum"]

Edges = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]

_LUNG_SHARE = 0.55
"""Ours: below the slice where the lungs' area falls under this share of their largest, liver and
stomach lie between them."""

_STEEPEST = 1.0
"""Ours: the heart widens at most this fast on the way down, mm sideways a mm."""

_DOME = 1.3
"""Ours: where the gap between the lungs is this much wider than a heart can be, a dome of the
diaphragm has joined it."""

_STRIP_MM = 10.0
_INTO_SPINE_MM = 10.0
"""Ours: half width of the strip in which the vertebral bodies are followed; how far behind their
front the mediastinum beside them reaches (descending aorta)."""

_SPINE_SLOPE = 0.6
"""Ours: steepest slope of the front of the thoracic spine."""

_BEHIND = 0.4
"""Ours: the spine starts behind this share of the image's rows."""

_NO_BONE_MM = (8.0, 17.0)
"""Ours: the space from so far behind the lungs' front edge (sternum) to so far before the last
row of the mediastinum (spine with osteophytes) has no bone: what is dense there is blood."""

_REACH_MM = (65.0, 105.0)
"""Ours: how far right and left of the spine heart and great vessels reach."""

_SMALLEST_LUNG_ML = 150.0
"""Ours: both lungs have to be seen, or there is no between."""


def find_mediastinum(
    grid: WorkingGrid, right: Mask, left: Mask, *, bone: Mask, middle: int
) -> tuple[Mask, Mask]:
    """Return soft tissue between right and left lung, and bone without opacified blood there.

    Both (d, h, w); no mediastinum where a lung is missing.

    Parameters
    ----------
    grid : WorkingGrid
        Block means, HU.
    right, left, bone : ndarray of bool, shape (d, h, w)
        Lungs and bone.
    middle : int
        Column of the spine.
    """
    between, heart = np.zeros_like(right), np.zeros_like(right)
    if min(right.sum(), left.sum()) * grid.voxel_ml < _SMALLEST_LUNG_ML:
        return between, bone
    area = (right | left).sum(axis=(1, 2))
    largest = int(np.argmax(area))
    front = _spine_front(grid, bone, right | left, middle=middle)
    before: Edges | None = None
    first = float(right.shape[1])
    slope = _STEEPEST * grid.spacing_mm[0] / grid.spacing_mm[1]
    joined = False
    for z in range(len(area)):
        rows = np.flatnonzero(right[z].any(axis=1) & left[z].any(axis=1))
        rows = rows[rows <= front[z]]
        if not rows.size:
            continue
        first = min(float(rows[0]), first + slope)
        rows = np.arange(round(first), int(rows[-1]) + 1)
        free = _medial_edges(right[z], left[z])
        held = _not_much_wider(grid, free, before, middle)
        below = z > largest
        joined |= below and _width(free, rows) > _DOME * _width(held, rows)
        joined |= below and area[z] < _LUNG_SHARE * area.max()
        before = before if joined else held
        for y in rows:
            heart[z, y, max(0, round(held[0][y]) + 1) : round(held[1][y])] = True
        if not joined:
            between[z] = heart[z]
        behind, before_spine = (round(d / grid.spacing_mm[1]) for d in _NO_BONE_MM)
        heart[z, : round(first) + behind] = False
        heart[z, max(0, front[z] - before_spine) :] = False
    bone = bone & ~heart
    return between & ~right & ~left & ~bone, bone


def _spine_front(grid: WorkingGrid, bone: Mask, lung: Mask, *, middle: int) -> list[int]:
    """Return, for every slice, the row just behind the front of the vertebral body.

    Followed down from the lungs' top, where neither heart nor aorta is in front of it.
    """
    half = max(1, round(_STRIP_MM / grid.spacing_mm[2]))
    strip = bone[..., max(0, middle - half) : middle + half + 1].sum(axis=2) > half
    filled = np.flatnonzero(lung.any(axis=(1, 2)))
    step = _SPINE_SLOPE * grid.spacing_mm[0] / grid.spacing_mm[1]
    depth = _INTO_SPINE_MM / grid.spacing_mm[1]
    front = [bone.shape[1] - 1] * len(bone)
    row: float | None = None
    for z in range(int(filled[0]) if filled.size else 0, len(bone)):
        starts = np.flatnonzero(np.diff(strip[z].astype(np.int8), prepend=0) == 1)
        if row is None:
            behind = starts[starts > _BEHIND * bone.shape[1]]
            row = float(behind[0]) if behind.size else None
        elif starts.size:
            nearest = float(starts[np.argmin(np.abs(starts - row))])
            row += float(np.clip(nearest - row, -step, step))
        if row is not None:
            front[z] = round(row + depth)
    return front


def _width(edges: Edges, rows: npt.NDArray[np.intp]) -> float:
    return float(np.maximum(edges[1] - edges[0], 1)[rows].sum())


def _medial_edges(right: Mask, left: Mask) -> Edges:
    """Return, for every row, the last column of the right and the first of the left lung."""
    columns = np.arange(right.shape[1], dtype=np.float64)
    return (
        np.where(right, columns, -1.0).max(axis=1),
        np.where(left, columns, float(right.shape[1])).min(axis=1),
    )


def _not_much_wider(grid: WorkingGrid, edges: Edges, before: Edges | None, middle: int) -> Edges:
    """Return the edges held to a heart's reach and steepest widening from the slice above."""
    dx = grid.spacing_mm[2]
    right = np.maximum(edges[0], middle - _REACH_MM[0] / dx)
    left = np.minimum(edges[1], middle + _REACH_MM[1] / dx)
    if before is None:
        return right, left
    step = _STEEPEST * grid.spacing_mm[0] / dx
    return (
        np.maximum(right, np.minimum(before[0], middle) - step),
        np.minimum(left, np.maximum(before[1], middle) + step),
    )

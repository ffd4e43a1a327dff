"""Heatmap grid: a similarity map's numbers where the viewer can step through them with the scan.

napari's slider steps by the finest layer and runs from the first layer's first plane to the last
one's last. Tokens thinner than the scan's slices, or centred beyond its outer slices, would make it
count planes that the scan does not have.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.geometry import INTERNAL_AXES, Geometry
from napari_ctclip.core.similarity_map import SimilarityMap

__all__ = ["heatmap_on_scan"]

_SAME = 1e-6  # of a voxel


def heatmap_on_scan(
    answer_map: SimilarityMap, scan: Geometry, *, smooth: bool = True
) -> tuple[npt.NDArray[np.float32], Geometry]:
    """Return a map's values for display, without NaN, cut to the box that holds any.

    The tokens stay as they are along every axis where they are as coarse as the scan and centred
    within it. Along the others values lie on slices of the scan.

    Parameters
    ----------
    answer_map : SimilarityMap
        The map, on a grid parallel to the scan's.
    scan : Geometry
        The scan's grid, axes Inferior, Posterior, Left.
    smooth : bool
        Whether values there are linear between tokens; else each is its token's.

    Returns
    -------
    values : ndarray, shape (d, h, w), float32
        In display order.
    grid : Geometry
        Where they lie.
    """
    values, grid = _filled_in_display_order(answer_map)
    ratio = np.asarray(grid.spacing_mm) / np.asarray(scan.spacing_mm)
    first = scan.world_to_index(grid.index_to_world((0, 0, 0)))
    start, step = np.zeros(3), np.ones(3)  # of the new grid, in tokens
    for axis, count in enumerate(values.shape):
        tokens = first[axis] + ratio[axis] * np.arange(count)
        wanted = _positions(tokens, ratio[axis], scan.shape[axis])
        if wanted is tokens:
            continue
        places = (wanted - first[axis]) / ratio[axis]
        values = _resampled(values, axis, places if smooth else np.rint(places))
        start[axis] = (wanted[0] - first[axis]) / ratio[axis]
        step[axis] = (wanted[1] - wanted[0] if len(wanted) > 1 else 1.0) / ratio[axis]
    affine = grid.affine.copy()
    affine[:3, :3] *= step
    affine[:3, 3] = grid.index_to_world(start)
    depth, height, width = values.shape
    return values, Geometry((depth, height, width), affine)


def _positions(tokens: npt.NDArray[np.float64], size: float, depth: int) -> npt.NDArray[np.float64]:
    """Return where values are shown along an axis, in voxels of the scan.

    Parameters
    ----------
    tokens : ndarray, shape (n,)
        Where the tokens' centres lie.
    size : float
        Of a token.
    depth : int
        Voxels of the scan.

    Returns
    -------
    ndarray
        ``tokens`` itself where they can stay.
    """
    if size >= 1.0 - _SAME and tokens[0] >= -_SAME and tokens[-1] <= depth - 1.0 + _SAME:
        return tokens
    faces = tokens[0] - size / 2, tokens[-1] + size / 2
    low = max(np.ceil(faces[0] - _SAME), 0.0)
    high = min(np.floor(faces[1] + _SAME), depth - 1.0)
    inside: npt.NDArray[np.float64] = np.arange(
        low, high + 1.0, max(1.0, size // 2)
    )  # two a token lose little of it
    if len(inside):
        return inside
    middle: npt.NDArray[np.float64] = np.rint(tokens.mean(keepdims=True))
    return np.clip(middle, 0.0, depth - 1.0)  # between two slices


def _resampled(
    values: npt.NDArray[np.float32], axis: int, places: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    """Return values at fractional indices of an axis; beyond the ends, those of the ends."""
    places = np.clip(places, 0.0, values.shape[axis] - 1.0)
    below = np.floor(places).astype(int)
    above = np.minimum(below + 1, values.shape[axis] - 1)
    shape = [1] * values.ndim
    shape[axis] = -1
    share = (places - below).astype(np.float32).reshape(shape)
    before = values.take(below, axis=axis)
    mixed: npt.NDArray[np.float32] = before + share * (values.take(above, axis=axis) - before)
    return mixed


def _filled_in_display_order(
    answer_map: SimilarityMap,
) -> tuple[npt.NDArray[np.float32], Geometry]:
    """Return values in display order, without NaN, cut to the box that holds any."""
    transform = answer_map.geometry.transform_to(INTERNAL_AXES)
    values = transform.apply(answer_map.values)
    grid = answer_map.geometry.reoriented(transform)
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros(values.shape, dtype=np.float32), grid
    start, stop = [], []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        used = np.flatnonzero(finite.any(axis=others))
        start.append(int(used[0]))
        stop.append(int(used[-1]) + 1)
    box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    filled = np.array(values[box], dtype=np.float32, order="C")
    filled[~finite[box]] = np.nanmin(filled)
    return filled, grid.cropped(start, stop)

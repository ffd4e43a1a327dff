"""Grids: bringing voxels to the spacing a model expects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.volume import Volume

__all__ = ["Resampling", "on_model_grid", "resample_labels", "resample_volume"]

Resampling = Literal["average", "linear"]
"""How a volume gets another spacing. ``average``: linear where the grid gets finer, a triangle as
wide as the new spacing where it gets coarser, over the whole field of view. ``linear``: two voxels
an axis at any spacing, on the largest grid that fits inside the field of view about its centre;
what TorchIO's ``Resample`` does, for models whose training used it."""

_SLICES_AT_ONCE = 16  # keeps the float32 working set of a 512 x 512 scan under 20 MB


def on_model_grid(
    volume: Volume,
    orientation: str,
    spacing_mm: Sequence[float],
    *,
    resampling: Resampling = "average",
) -> tuple[npt.NDArray[np.float32], Geometry]:
    """Return HU (D, H, W) turned to an axis code and resampled: the first half of preprocessing.

    The store of a training set keeps this, rounded to whole HU; windows follow when it is read.
    """
    turn = volume.geometry.transform_to(orientation)
    turned, geometry = turn.apply(volume.voxels), volume.geometry.reoriented(turn)
    return resample_volume(turned, geometry, spacing_mm, resampling=resampling)


def resample_volume(
    voxels: npt.NDArray[Any],
    geometry: Geometry,
    spacing_mm: Sequence[float],
    *,
    resampling: Resampling = "average",
) -> tuple[npt.NDArray[np.float32], Geometry]:
    """Return voxels (D, H, W) as float32 on a grid of another spacing over the same field of view.

    Separable triangle kernel. Averaging widens it where the grid gets coarser, so that noise
    averages out as it does in a thicker slice.
    """
    averages = resampling == "average"
    grid = geometry.resampled if averages else geometry.resampled_within
    target = grid(spacing_mm)
    along_z, along_y, along_x = (
        _axis_matrix(
            geometry.shape[axis],
            _centres(geometry, target, axis),
            reach=max(target.spacing_mm[axis] / geometry.spacing_mm[axis], 1.0)
            if averages
            else 1.0,
        )
        for axis in range(3)
    )
    # dense matrices: the products run at the BLAS rate, five times a gather of the few taps
    planes = np.empty((geometry.shape[0], target.shape[1], target.shape[2]), dtype=np.float32)
    for start in range(0, geometry.shape[0], _SLICES_AT_ONCE):
        slab = voxels[start : start + _SLICES_AT_ONCE].astype(np.float32)
        planes[start : start + _SLICES_AT_ONCE] = along_y @ (slab @ along_x.T)
    flat = along_z @ planes.reshape(geometry.shape[0], -1)
    return flat.reshape(target.shape), target


def resample_labels(
    labels: npt.NDArray[Any], geometry: Geometry, target: Geometry
) -> npt.NDArray[Any]:
    """Return labels (D, H, W) at the voxel centres of ``target``, nearest; 0 outside.

    Both grids have parallel axes in the same order.
    """
    indices = []
    for axis in range(3):
        points = np.zeros((target.shape[axis], 3))
        points[:, axis] = np.arange(target.shape[axis])
        exact = geometry.world_to_index(target.index_to_world(points))[:, axis]
        indices.append(np.rint(exact).astype(np.intp))
    clipped = [np.clip(index, 0, n - 1) for index, n in zip(indices, geometry.shape, strict=True)]
    out = labels[np.ix_(*clipped)]
    z, y, x = (index == kept for index, kept in zip(indices, clipped, strict=True))
    out[~(z[:, None, None] & y[None, :, None] & x[None, None, :])] = 0
    return out


def _centres(geometry: Geometry, target: Geometry, axis: int) -> npt.NDArray[np.float64]:
    """Return where the voxels of ``target`` lie along an axis of ``geometry``, in its voxels."""
    ends = np.zeros((2, 3))
    ends[1, axis] = 1.0
    start, following = geometry.world_to_index(target.index_to_world(ends))[:, axis]
    # a rounding error must not reach for a voxel further away
    return np.asarray(np.round(start + np.arange(target.shape[axis]) * (following - start), 9))


def _axis_matrix(
    size: int, centre: npt.NDArray[np.float64], *, reach: float
) -> npt.NDArray[np.float32]:
    """Return weights (new size, size) of one axis: a triangle of half-width ``reach`` voxels."""
    taps = int(np.ceil(2 * reach)) + 1
    source = np.floor(centre - reach).astype(np.intp)[:, None] + 1 + np.arange(taps)[None, :]
    weights = np.clip(1.0 - np.abs(source - centre[:, None]) / reach, 0.0, None)
    matrix = np.zeros((len(centre), size))
    rows = np.repeat(np.arange(len(centre)), taps)
    # beyond the faces the nearest voxel stands in
    np.add.at(matrix, (rows, np.clip(source, 0, size - 1).ravel()), weights.ravel())
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True), dtype=np.float32)

"""Drawn regions: a box or a ball that somebody put on a scan."""

from __future__ import annotations

import numpy as np

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.region import Region

__all__ = ["ball_region", "box_region"]

Index = tuple[float, float, float]


def box_region(geometry: Geometry, corner: Index, opposite: Index) -> Region:
    """Return the voxels between two corners (z, y, x), both included, as far as the scan goes.

    Raises
    ------
    DataError
        If the box lies outside the scan.
    """
    corners = np.rint(np.sort([corner, opposite], axis=0)).astype(int)
    low = np.maximum(corners[0], 0)
    high = np.minimum(corners[1] + 1, geometry.shape)
    if (low >= high).any():
        raise DataError(
            f"the box from {corner} to {opposite} lies outside the scan of {geometry.shape} voxels"
        )
    z, y, x = low.tolist()
    return Region((z, y, x), np.ones(tuple(high - low), dtype=bool))


def ball_region(geometry: Geometry, centre: Index, *, radius_mm: float) -> Region:
    """Return the voxels at most ``radius_mm`` from a voxel (z, y, x); that voxel at least.

    Raises
    ------
    DataError
        If the centre lies outside the scan or the radius is negative.
    """
    if radius_mm < 0:
        raise DataError(f"a ball needs a radius of at least 0 mm, got {radius_mm}")
    if not geometry.contains_index(centre):
        raise DataError(f"voxel {centre} lies outside the scan of {geometry.shape} voxels")
    spacing, middle = np.asarray(geometry.spacing_mm), np.rint(centre).astype(int)
    reach = np.floor(radius_mm / spacing).astype(int)
    low = np.maximum(middle - reach, 0)
    high = np.minimum(middle + reach + 1, geometry.shape)
    steps = [
        (np.arange(a, b) - m) * s for a, b, m, s in zip(low, high, middle, spacing, strict=True)
    ]
    z, y, x = np.ix_(*steps)
    return Region.of(
        z**2 + y**2 + x**2 <= radius_mm**2 + 1e-9, start=(int(low[0]), int(low[1]), int(low[2]))
    )

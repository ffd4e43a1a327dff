"""Patch: a square of an axial slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_ctclip.core.geometry import Geometry

__all__ = ["Box", "Patch"]


@dataclass(frozen=True)
class Box:
    """Voxels of a scan that a patch covers.

    Attributes
    ----------
    z : int
        The axial slice at its middle.
    y, x : tuple of float
        First and last edge (index - 0.5 is the edge of a voxel), rows and columns.
    """

    z: int
    y: tuple[float, float]
    x: tuple[float, float]

    def contains(self, index: tuple[float, float, float], *, slices: float = 0.5) -> bool:
        """Return whether a voxel lies inside, up to ``slices`` from the middle slice."""
        z, y, x = index
        inside = self.y[0] <= y <= self.y[1] and self.x[0] <= x <= self.x[1]
        return inside and abs(z - self.z) <= slices


@dataclass(frozen=True)
class Patch:
    """A square of an axial slab.

    Attributes
    ----------
    centre_mm : tuple of float
        Its middle in the file's RAS world.
    size_mm : float
        Side of the square.
    thickness_mm : float
        Of the slab that was averaged for the model.
    organ_share : float
        Part of the square that the organ fills.
    score : float
        What it was ranked by; NaN before.
    """

    centre_mm: tuple[float, float, float]
    size_mm: float
    thickness_mm: float
    organ_share: float = 1.0
    score: float = float("nan")

    def centre_index(self, geometry: Geometry) -> tuple[float, float, float]:
        """Return its middle as an index (z, y, x), not rounded, of a scan's grid."""
        z, y, x = geometry.world_to_index(self.centre_mm).tolist()
        return z, y, x

    def voxel(self, geometry: Geometry) -> tuple[int, int, int]:
        """Return the voxel of a scan nearest to its middle."""
        index = np.rint(geometry.world_to_index(self.centre_mm)).astype(int)
        z, y, x = np.clip(index, 0, np.asarray(geometry.shape) - 1).tolist()
        return z, y, x

    def box(self, geometry: Geometry) -> Box:
        """Return the voxels of a scan (axes I, P, L) that it covers."""
        _, y, x = self.centre_index(geometry)
        half = [self.size_mm / 2 / spacing for spacing in geometry.spacing_mm[1:]]
        return Box(self.voxel(geometry)[0], (y - half[0], y + half[0]), (x - half[1], x + half[1]))

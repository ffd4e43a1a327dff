"""Grid: the scanned voxels in the simulated body's millimetres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Grid"]

Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Grid:
    """An axis-aligned voxel grid in body coordinates.

    Body coordinates (z, y, x) point Inferior, Posterior, Left; the origin is the level of the lung
    apices in the midline.

    Attributes
    ----------
    shape : tuple of int
        Voxels (D, H, W).
    spacing_mm : tuple of float
        Distance between voxel centres.
    origin_mm : tuple of float
        Place of the first voxel's centre.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of a voxel in millilitres."""
        return float(np.prod(self.spacing_mm)) / 1000.0

    def box(self, low_mm: npt.ArrayLike, high_mm: npt.ArrayLike) -> Box | None:
        """Return the voxels between two corners; ``None`` if there are none."""
        spacing, origin = np.asarray(self.spacing_mm), np.asarray(self.origin_mm)
        start = np.maximum(np.floor((np.asarray(low_mm) - origin) / spacing), 0).astype(int)
        stop = np.ceil((np.asarray(high_mm) - origin) / spacing).astype(int) + 1
        stop = np.minimum(stop, self.shape)
        if (stop <= start).any():
            return None
        z, y, x = (slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
        return z, y, x

    def part(self, box: Box) -> Grid:
        """Return the grid of a box of voxels."""
        shape = (
            box[0].stop - box[0].start,
            box[1].stop - box[1].start,
            box[2].stop - box[2].start,
        )
        z, y, x = (
            o + b.start * s for o, b, s in zip(self.origin_mm, box, self.spacing_mm, strict=True)
        )
        return Grid(shape, self.spacing_mm, (z, y, x))

    def axes_mm(self) -> tuple[npt.NDArray[np.float32], ...]:
        """Return broadcastable coordinates: z (D, 1, 1), y (1, H, 1), x (1, 1, W)."""
        z, y, x = (
            (o + s * np.arange(n)).astype(np.float32)
            for o, s, n in zip(self.origin_mm, self.spacing_mm, self.shape, strict=True)
        )
        return z[:, None, None], y[None, :, None], x[None, None, :]

    def index_of(self, point_mm: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return indices (..., 3), not rounded, of points (..., 3)."""
        away = np.asarray(point_mm, dtype=np.float64) - np.asarray(self.origin_mm)
        return np.asarray(away / np.asarray(self.spacing_mm))

    def point_of(self, index: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return points (..., 3), mm, of indices (..., 3)."""
        away = np.asarray(index, dtype=np.float64) * np.asarray(self.spacing_mm)
        return np.asarray(away + np.asarray(self.origin_mm))

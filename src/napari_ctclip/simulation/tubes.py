"""Tubes: chains of tapered capsules painted with soft partial volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from napari_ctclip.simulation.grid import Grid

__all__ = ["Tube", "coverage_of_segments", "tube_coverage"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Tube:
    """A smooth vessel, airway or rod.

    Attributes
    ----------
    points_mm : ndarray, shape (N, 3)
        Centre line (z, y, x), mm.
    radii_mm : ndarray, shape (N,)
        Outer radius at each point.
    hu : float
        CT number of the inside.
    label : int
        Organ label; 0 leaves the label as it is.
    wall_mm : float
        Wall thickness; 0 for none.
    wall_hu : float
        CT number of the wall.
    """

    points_mm: FloatArray
    radii_mm: FloatArray
    hu: float
    label: int
    wall_mm: float = 0.0
    wall_hu: float = 40.0

    def segments(self, *, shrink_mm: float = 0.0) -> FloatArray:
        """Return the capsules (N - 1, 8): both ends, both radii."""
        radii = np.maximum(self.radii_mm - shrink_mm, 0.0)
        p = self.points_mm
        return np.hstack([p[:-1], p[1:], radii[:-1, None], radii[1:, None]])


def tube_coverage(
    grid: Grid, segments: FloatArray
) -> tuple[tuple[slice, slice, slice], npt.NDArray[np.float32]] | None:
    """Return the box that holds the capsules and how much of each of its voxels they fill.

    ``None`` if they lie outside the grid.
    """
    reach = segments[:, 6:].max() + 2 * max(grid.spacing_mm)
    ends = np.concatenate([segments[:, 0:3], segments[:, 3:6]])
    box = grid.box(ends.min(axis=0) - reach, ends.max(axis=0) + reach)
    if box is None:
        return None
    part = grid.part(box)
    return box, coverage_of_segments(
        segments, np.asarray(part.origin_mm), np.asarray(part.spacing_mm), part.shape
    )


@njit(cache=True, fastmath=True, error_model="numpy")
def coverage_of_segments(segments, origin, spacing, shape):  # type: ignore[no-untyped-def]
    """Return how much of each voxel (D, H, W) the capsules (N, 8) fill, 0 to 1."""
    cover = np.zeros((shape[0], shape[1], shape[2]), np.float32)
    h = (spacing[0] * spacing[1] * spacing[2]) ** (1.0 / 3.0)
    lo = np.zeros(3, np.int64)
    hi = np.zeros(3, np.int64)
    for s in range(segments.shape[0]):
        reach = max(segments[s, 6], segments[s, 7], 0.6 * h) + h
        for a in range(3):
            low = min(segments[s, a], segments[s, a + 3]) - reach
            high = max(segments[s, a], segments[s, a + 3]) + reach
            lo[a] = max(0, int(np.ceil((low - origin[a]) / spacing[a])))
            hi[a] = min(shape[a] - 1, int(np.floor((high - origin[a]) / spacing[a])))
        _paint_capsule(cover, segments[s], origin, spacing, h, lo, hi)
    return cover


@njit(cache=True, fastmath=True, error_model="numpy")
def _paint_capsule(cover, segment, origin, spacing, h, lo, hi):  # type: ignore[no-untyped-def]
    az, ay, ax = segment[0], segment[1], segment[2]
    bz, by, bx = segment[3] - az, segment[4] - ay, segment[5] - ax
    length2 = bz * bz + by * by + bx * bx + 1e-9
    for k in range(lo[0], hi[0] + 1):
        pz = origin[0] + k * spacing[0] - az
        for j in range(lo[1], hi[1] + 1):
            py = origin[1] + j * spacing[1] - ay
            for i in range(lo[2], hi[2] + 1):
                px = origin[2] + i * spacing[2] - ax
                t = min(1.0, max(0.0, (pz * bz + py * by + px * bx) / length2))
                dz, dy, dx = pz - t * bz, py - t * by, px - t * bx
                r = segment[6] + t * (segment[7] - segment[6])
                # A vessel thinner than a voxel is drawn one voxel wide and fainter by its area.
                width = max(r, 0.6 * h)
                c = 0.5 + (width - np.sqrt(dz * dz + dy * dy + dx * dx)) / h
                if c <= 0.0:
                    continue
                c = min(1.0, c) * (r / width) ** 2
                if c > cover[k, j, i]:
                    cover[k, j, i] = c

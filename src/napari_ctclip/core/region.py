"""Region: some voxels of a scan, stored as the box that holds them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import DataError, GeometryMismatch
from napari_ctclip.core.geometry import Geometry

__all__ = ["Region"]


@dataclass(frozen=True, eq=False)
class Region:
    """Some voxels of a scan.

    Attributes
    ----------
    start : tuple of int
        First voxel (z, y, x) of the box.
    mask : ndarray of bool, shape (d, h, w)
        Which voxels of the box belong to it.

    Raises
    ------
    DataError
        If it holds no voxel.
    """

    start: tuple[int, int, int]
    mask: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.mask.ndim != 3 or not self.mask.any():
            raise DataError("a region needs at least one voxel")

    @classmethod
    def of(cls, mask: npt.NDArray[np.bool_], *, start: tuple[int, int, int] = (0, 0, 0)) -> Region:
        """Return the region of a mask that begins at ``start``, cut to the box it fills.

        Raises
        ------
        DataError
            If the mask is empty.
        """
        low, high = [], []
        for axis in range(3):
            others = tuple(other for other in range(3) if other != axis)
            used = np.flatnonzero(mask.any(axis=others))
            if not len(used):
                raise DataError("a region needs at least one voxel")
            low.append(int(used[0]))
            high.append(int(used[-1]) + 1)
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        z, y, x = (a + s for a, s in zip(low, start, strict=True))
        return cls((z, y, x), np.ascontiguousarray(mask[box], dtype=bool))

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """Where the box lies on the scan's grid."""
        z, y, x = (slice(a, a + n) for a, n in zip(self.start, self.mask.shape, strict=True))
        return z, y, x

    @property
    def middle(self) -> tuple[int, int, int]:
        """Its voxel (z, y, x) nearest to its centre of mass."""
        voxels = np.argwhere(self.mask)
        distances = ((voxels - voxels.mean(axis=0)) ** 2).sum(axis=1)
        z, y, x = (voxels[int(distances.argmin())] + self.start).tolist()
        return z, y, x

    def contains(self, index: tuple[int, int, int]) -> bool:
        """Return whether a voxel (z, y, x) of the scan belongs to it."""
        at = tuple(i - s for i, s in zip(index, self.start, strict=True))
        inside = all(0 <= i < n for i, n in zip(at, self.mask.shape, strict=True))
        return inside and bool(self.mask[at])

    def volume_ml(self, geometry: Geometry) -> float:
        """Return its volume in millilitres on the scan's grid."""
        return int(self.mask.sum()) * geometry.voxel_volume_ml

    def on_grid(self, geometry: Geometry) -> npt.NDArray[np.bool_]:
        """Return it as a mask (D, H, W) of the whole scan.

        Raises
        ------
        GeometryMismatch
            If it reaches past the grid.
        """
        ends = [s.stop for s in self.box]
        if min(self.start) < 0 or any(e > n for e, n in zip(ends, geometry.shape, strict=True)):
            raise GeometryMismatch(
                f"a region from {self.start} to {tuple(ends)} does not lie on the CT of "
                f"{geometry.shape} voxels; open the scan it was made for"
            )
        whole = np.zeros(geometry.shape, dtype=bool)
        whole[self.box] = self.mask
        return whole

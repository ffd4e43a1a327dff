"""Patch and Montage: squares of a scan side by side, and the way back from tile to voxel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.volume import Window

__all__ = [
    "Box",
    "Montage",
    "Patch",
]


@dataclass(frozen=True, eq=False)
class Montage:
    """The answer as a picture.

    Attributes
    ----------
    hounsfield : ndarray, shape (rows * tile, columns * tile), int16
        Tiles in reading order without a border; -1024 HU where there are fewer patches than tiles.
    patches : tuple of Patch
        One a tile, in reading order.
    grid : tuple of int
        Rows and columns of tiles.
    tile_pixels : int
        Side of a tile.
    geometry : Geometry
        Grid of the scan.

    Raises
    ------
    DataError
        If picture, patches and grid do not fit together.
    """

    hounsfield: npt.NDArray[np.int16]
    patches: tuple[Patch, ...]
    grid: tuple[int, int]
    tile_pixels: int
    geometry: Geometry

    def __post_init__(self) -> None:
        expected = tuple(n * self.tile_pixels for n in self.grid)
        if self.hounsfield.shape != expected or len(self.patches) > self.grid[0] * self.grid[1]:
            raise DataError(
                f"expected a montage of {expected} pixels for {self.grid[0]} x {self.grid[1]} "
                f"tiles, got {self.hounsfield.shape} and {len(self.patches)} patches"
            )

    def tile(self, number: int) -> npt.NDArray[np.int16]:
        """Return the picture (tile, tile) of a patch in HU."""
        row, column = divmod(number, self.grid[1])
        n = self.tile_pixels
        return self.hounsfield[row * n : (row + 1) * n, column * n : (column + 1) * n]

    def picture(self, window: Window) -> npt.NDArray[np.uint8]:
        """Return the montage as gray values 0..255 in a window."""
        low, high = window.limits
        gray = (self.hounsfield.astype(np.float32) - low) / (high - low)
        return np.asarray(np.clip(gray, 0, 1) * 255 + 0.5, dtype=np.uint8)

    def best_first(self) -> tuple[int, ...]:
        """Return the tiles from the highest score down: their ranks, from 1, in this order."""
        return tuple(sorted(range(len(self.patches)), key=lambda n: -self.patches[n].score))

    def tile_at(self, row: float, column: float) -> int | None:
        """Return the tile at a pixel of the picture; None where there is none."""
        at = (
            int(np.floor((row + 0.5) / self.tile_pixels)),
            int(np.floor((column + 0.5) / self.tile_pixels)),
        )
        if not (0 <= at[0] < self.grid[0] and 0 <= at[1] < self.grid[1]):
            return None
        number = at[0] * self.grid[1] + at[1]
        return number if number < len(self.patches) else None

    def voxel_at(self, row: float, column: float) -> tuple[float, float, float] | None:
        """Return the index (z, y, x), not rounded, of the scan at a pixel; None off the tiles."""
        number = self.tile_at(row, column)
        if number is None:
            return None
        z, y, x = self.patches[number].centre_index(self.geometry)
        top, left = (k * self.tile_pixels for k in divmod(number, self.grid[1]))
        _, along_y, along_x = self._voxels_a_pixel(number)
        middle = (self.tile_pixels - 1) / 2
        return z, y + (row - top - middle) * along_y, x + (column - left - middle) * along_x

    def pixel_of(self, index: tuple[float, float, float], number: int) -> tuple[float, float]:
        """Return the pixel (row, column) of a voxel (z, y, x) in a tile; it may lie beyond it."""
        _, y, x = self.patches[number].centre_index(self.geometry)
        top, left = (k * self.tile_pixels for k in divmod(number, self.grid[1]))
        _, along_y, along_x = self._voxels_a_pixel(number)
        middle = (self.tile_pixels - 1) / 2
        return top + middle + (index[1] - y) / along_y, left + middle + (index[2] - x) / along_x

    def tiles_with(self, index: tuple[float, float, float]) -> tuple[int, ...]:
        """Return the tiles whose slab holds a voxel (z, y, x)."""
        slice_mm = self.geometry.spacing_mm[0]
        return tuple(
            number
            for number, patch in enumerate(self.patches)
            if patch.box(self.geometry).contains(
                index, slices=max(0.5, patch.thickness_mm / 2 / slice_mm)
            )
        )

    def _voxels_a_pixel(self, number: int) -> tuple[float, float, float]:
        pixel_mm = self.patches[number].size_mm / self.tile_pixels
        z, y, x = (pixel_mm / spacing for spacing in self.geometry.spacing_mm)
        return z, y, x


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

"""Ranking: from scored patches to the best ones that do not all lie together, and a montage."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, map_coordinates

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.montage import Montage, Patch
from napari_ctclip.core.volume import Volume
from napari_ctclip.regions.patches import PatchGrid

__all__ = ["MontageLayout", "Spread", "TileOrder", "best_patches", "build_montage"]

TileOrder = Literal["score", "z"]
"""Best first, or from the head down."""

_AIR_HU = -1024


@dataclass(frozen=True)
class Spread:
    """How different the chosen patches must be.

    Attributes
    ----------
    overlap : float
        Part of a patch that another one near it may cover. Ours: 0.25.
    apart_mm : float
        Patches this far apart along z never compete. Ours: 20 mm.
    """

    overlap: float = 0.25
    apart_mm: float = 20.0


@dataclass(frozen=True)
class MontageLayout:
    """How many patches are shown, and how.

    Attributes
    ----------
    count : int
        Patches at most.
    columns : int
        Tiles in a row; there are as many rows as the patches need.
    tile_pixels : int
        Side of a tile.
    order : {"score", "z"}
        Reading order.
    spread : Spread
        How different the patches must be.

    Raises
    ------
    DataError
        If a number is not positive.
    """

    count: int = 16
    columns: int = 4
    tile_pixels: int = 56
    order: TileOrder = "score"
    spread: Spread = field(default_factory=Spread)

    def __post_init__(self) -> None:
        if min(self.count, self.columns, self.tile_pixels) < 1:
            raise DataError(
                f"a montage of {self.count} patches in {self.columns} columns of "
                f"{self.tile_pixels} pixels cannot be made; expected at least 1 of each"
            )

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns."""
        return -(-self.count // self.columns), self.columns


def best_patches(
    grid: PatchGrid, scores: npt.NDArray[np.float32], *, count: int, spread: Spread | None = None
) -> tuple[Patch, ...]:
    """Return the highest patches, best first: each one suppresses those that it covers.

    Non-maximum suppression in the plane among patches that lie near each other along z; so a
    montage spreads over the organ and does not show one lesion slice by slice.

    Parameters
    ----------
    grid : PatchGrid
        N patches.
    scores : ndarray, shape (N,)
        What they are ranked by; those that are not numbers are left out.
    count : int
        At most so many are returned.
    spread : Spread, optional
        How different they must be.

    Raises
    ------
    DataError
        If none is asked for, or there is not one score a patch.
    """
    if count < 1 or scores.shape != (len(grid),):
        raise DataError(
            f"expected at least one patch and {len(grid)} scores, got {count} and {scores.shape}"
        )
    spread = spread or Spread()
    size = grid.plan.size_mm
    # millimetres along the axes of the grid, which an oblique scan has turned
    positions = grid.centres * np.asarray(grid.geometry.spacing_mm)
    order = np.argsort(-scores, kind="stable")
    order = order[np.isfinite(scores[order])]
    open_still = np.ones(len(grid), dtype=bool)
    chosen: list[int] = []
    for number in order:
        if not open_still[number]:
            continue
        chosen.append(int(number))
        if len(chosen) == count:
            break
        away = np.abs(positions - positions[number])
        covered = np.prod(np.clip(1 - away[:, 1:] / size, 0, None), axis=1)
        open_still &= (covered <= spread.overlap) | (away[:, 0] >= spread.apart_mm)
    return tuple(grid.patch(number, score=float(scores[number])) for number in chosen)


def build_montage(
    volume: Volume,
    patches: tuple[Patch, ...],
    *,
    grid: tuple[int, int] = (4, 4),
    tile_pixels: int = 56,
    order: TileOrder = "score",
) -> Montage:
    """Return the patches of a scan side by side; the viewer, the files and training use this one.

    A tile is the mean of the slices in the patch's slab, read where the patch lies.

    Parameters
    ----------
    volume : Volume
        The scan.
    patches : tuple of Patch
        Best first; those beyond the grid are left out.
    grid : tuple of int
        Rows and columns. The default of 4 x 4 tiles of 56 pixels is a picture of 224.
    tile_pixels : int
        Side of a tile.
    order : {"score", "z"}
        Reading order of the tiles.

    Raises
    ------
    DataError
        If grid or tile have no size.
    """
    rows, columns = grid
    if min(rows, columns, tile_pixels) < 1:
        raise DataError(
            f"a montage of {rows} x {columns} tiles of {tile_pixels} pixels has no picture; "
            "expected at least 1 of each"
        )
    shown = patches[: rows * columns]
    if order == "z":
        shown = tuple(sorted(shown, key=lambda patch: patch.centre_index(volume.geometry)))
    hounsfield = np.full((rows * tile_pixels, columns * tile_pixels), _AIR_HU, dtype=np.int16)
    for number, patch in enumerate(shown):
        top, left = (k * tile_pixels for k in divmod(number, columns))
        hounsfield[top : top + tile_pixels, left : left + tile_pixels] = _tile(
            volume, patch, tile_pixels
        )
    return Montage(hounsfield, shown, (rows, columns), tile_pixels, volume.geometry)


def _tile(volume: Volume, patch: Patch, pixels: int) -> npt.NDArray[np.int16]:
    slice_mm, *spacing = volume.geometry.spacing_mm
    z, y, x = patch.centre_index(volume.geometry)
    reach = max(patch.thickness_mm / slice_mm - 1, 0.0) / 2
    first, last = (
        int(np.clip(np.rint(v), 0, volume.geometry.shape[0] - 1)) for v in (z - reach, z + reach)
    )
    steps = [patch.size_mm / pixels / s for s in spacing]  # voxels a pixel
    offsets = np.arange(pixels) - (pixels - 1) / 2
    positions = [c + offsets * step for c, step in zip((y, x), steps, strict=True)]
    low = [max(int(np.floor(p[0])) - 3, 0) for p in positions]
    high = [int(np.ceil(p[-1])) + 4 for p in positions]
    part = volume.voxels[first : last + 1, low[0] : high[0], low[1] : high[1]]
    if not part.size:
        return np.full((pixels, pixels), _AIR_HU, dtype=np.int16)
    flat = part.mean(axis=0, dtype=np.float32)
    # pixels larger than voxels: what lies between them must not alias
    flat = gaussian_filter(flat, [0.5 * np.sqrt(max(step**2 - 1, 0.0)) for step in steps])
    rows, columns = (p - start for p, start in zip(positions, low, strict=True))
    at = np.meshgrid(rows, columns, indexing="ij")
    tile = map_coordinates(flat, at, order=1, mode="constant", cval=_AIR_HU)
    return np.asarray(np.clip(np.rint(tile), -32768, 32767), dtype=np.int16)

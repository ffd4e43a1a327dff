"""Montage views: pictures of lung patches drawn at random, built by the viewer's own function."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.volume import Volume
from napari_ctclip.preprocessing.intensity import window_channels
from napari_ctclip.regions.patches import PatchPlan, lay_patches
from napari_ctclip.regions.ranking import Spread, TileOrder, best_patches, build_montage

__all__ = ["MontageOptions", "montage_options", "montage_views"]


@dataclass(frozen=True)
class MontageOptions:
    """How a montage for training looks.

    Attributes
    ----------
    windows_hu : tuple of (low, high)
        One channel each.
    grid : tuple of int
        Rows and columns of tiles.
    tile_pixels : int
        Side of a tile.
    plan : PatchPlan
        Which patches may be drawn.
    spread : Spread
        How different those of one montage are.
    order : {"score", "z"}
        Of the tiles: by chance, or from the head down. Ours: from the head down.
    """

    windows_hu: tuple[tuple[float, float], ...]
    grid: tuple[int, int] = (4, 4)
    tile_pixels: int = 56
    plan: PatchPlan = field(default_factory=PatchPlan)
    spread: Spread = field(default_factory=Spread)
    order: TileOrder = "z"


def montage_options(
    picture: tuple[int, int, int],
    windows_hu: tuple[tuple[float, float], ...],
    *,
    tiles: int = 4,
    patch_mm: float = 64.0,
) -> MontageOptions:
    """Return the options of a picture of (1, rows, columns) pixels with ``tiles`` tiles a row.

    Raises
    ------
    DataError
        If the picture cannot be cut into square tiles.
    """
    depth, height, width = picture
    tile = width // tiles
    if depth != 1 or tile < 1 or width % tiles or height % tile:
        raise DataError(
            f"data.crop of a montage is (1, rows, columns) pixels, in square tiles, {tiles} a row; "
            f"got {list(picture)}"
        )
    return MontageOptions(
        windows_hu, (height // tile, tiles), tile_pixels=tile, plan=PatchPlan(size_mm=patch_mm)
    )


def montage_views(
    volume: Volume,
    masks: OrganMasks,
    rng: np.random.Generator,
    options: MontageOptions,
    *,
    count: int = 2,
) -> npt.NDArray[np.float32]:
    """Return several montages of one scan, (count, C, 1, rows * tile, columns * tile), 0..1.

    Each draws its patches anew among those that the organ fills, and spreads them as the viewer
    does; the viewer ranks by prompts instead. Where there are fewer patches than tiles, air is
    left.

    Parameters
    ----------
    volume : Volume
        A scan on the grid that patches are cut from.
    masks : OrganMasks
        With the plan's organ.
    rng : numpy.random.Generator
        All chance.
    options : MontageOptions
        How they look.
    count : int
        How many.

    Raises
    ------
    DataError
        If no patch holds the organ.

    References
    ----------
    Van Uden et al. 2023 (arXiv 2306.01111), abstract: montages of lung patches. Ours: how they are
    drawn for training.
    """
    patches = lay_patches(volume.geometry, masks, options.plan)
    tiles = options.grid[0] * options.grid[1]
    views = []
    for _ in range(count):
        chance = rng.random(len(patches), dtype=np.float32)
        drawn = best_patches(patches, chance, count=tiles, spread=options.spread)
        montage = build_montage(
            volume,
            drawn,
            grid=options.grid,
            tile_pixels=options.tile_pixels,
            order=options.order,
        )
        views.append(window_channels(montage.hounsfield[None], options.windows_hu))
    return np.stack(views)

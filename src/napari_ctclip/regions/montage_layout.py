"""Montage layout: how many of the ranked patches are shown, and how."""

from __future__ import annotations

from dataclasses import dataclass, field

from napari_ctclip.core.errors import DataError
from napari_ctclip.regions.ranking import Spread, TileOrder

__all__ = ["MontageLayout"]


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

"""SimilarityMap: the answer to a prompt in space; its display is the heatmap."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import GeometryMismatch
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.prompt import Prompt

__all__ = ["Peak", "SimilarityMap"]


@dataclass(frozen=True)
class Peak:
    """Where a map is highest.

    Attributes
    ----------
    index : tuple of int
        Token (z, y, x) on the map's grid.
    world_mm : tuple of float
        The same point in the file's RAS world, mm.
    value : float
        The map there.
    """

    index: tuple[int, int, int]
    world_mm: tuple[float, float, float]
    value: float


@dataclass(frozen=True, eq=False)
class SimilarityMap:
    """How similar each token is to the prompt.

    Attributes
    ----------
    values : ndarray, shape (d, h, w), float32
        Similarity: difference of cosines, see ``scoring.similarity``; NaN outside the field of
        view.
    geometry : Geometry
        The token grid in the patient.
    prompt : Prompt
        The prompt.
    """

    values: npt.NDArray[np.float32]
    geometry: Geometry
    prompt: Prompt

    def __post_init__(self) -> None:
        if self.values.shape != self.geometry.shape:
            raise GeometryMismatch(
                f"expected values of shape {self.geometry.shape}, got {self.values.shape}"
            )

    def with_zeros(self) -> SimilarityMap:
        """Return the map with 0 for NaN: what a difference is where nothing was scored."""
        return replace(self, values=np.nan_to_num(self.values, nan=0.0))

    def peak(self, within: npt.NDArray[np.bool_] | None = None) -> Peak | None:
        """Return the highest point, inside ``within`` (d, h, w) if given; None if all is NaN."""
        usable = np.isfinite(self.values)
        if within is not None:
            usable &= within
        if not usable.any():
            return None
        flat = int(np.argmax(np.where(usable, self.values, -np.inf)))
        z, y, x = (int(i) for i in np.unravel_index(flat, self.values.shape))
        right, anterior, superior = self.geometry.index_to_world((z, y, x)).tolist()
        return Peak((z, y, x), (right, anterior, superior), float(self.values[z, y, x]))

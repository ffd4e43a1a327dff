"""SimulatedMontages: montages of slices of simulated chests; a sample source for 2D models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import DataError
from napari_ctclip.preprocessing.specification import Preprocessing
from napari_ctclip.pretraining.samples import TrainingSample
from napari_ctclip.pretraining.simulated_cohort import SimulatedCohort

__all__ = ["SimulatedMontages"]


class SimulatedMontages:
    """Pictures tiled from slices that hold lung, at places drawn anew for every sample.

    Ours, for trials without data: the tiles are whole slices in order, not ranked patches.

    Parameters
    ----------
    seeds : sequence of int
        One study each.
    preprocessing : Preprocessing
        Of the model; three HU windows become the colours.
    montage : (1, rows, columns)
        Pixels of the picture.
    tiles : int
        Tiles along each side.
    """

    anatomies: tuple[str, ...] = ()

    def __init__(
        self,
        seeds: Sequence[int],
        *,
        preprocessing: Preprocessing,
        montage: tuple[int, int, int],
        tiles: int = 2,
    ) -> None:
        depth, height, width = montage
        if depth != 1 or height % tiles or width % tiles:
            raise DataError(
                f"data.crop is the montage's (1, rows, columns), both multiples of {tiles}; got "
                f"{montage}"
            )
        self._tiles, self._tile = tiles, (height // tiles, width // tiles)
        self._studies = SimulatedCohort(
            seeds,
            preprocessing=preprocessing,
            anatomies=("lung",),
            crop=(256, *self._tile),  # a chest is never longer than that in slices of 2 mm or more
        )

    def __len__(self) -> int:
        return len(self._studies)

    def sample(self, index: int, rng: np.random.Generator) -> TrainingSample:
        """Return a montage of one study, and another one as its second view."""
        study = self._studies.sample(index, rng)
        lung = study.masks[0].any(axis=(1, 2)).nonzero()[0]
        picture, again = (self._montage(study.image, lung, rng) for _ in range(2))
        nothing = np.zeros((0, *picture.shape[1:]), dtype=bool)
        return replace(study, image=picture, masks=nothing, captions=(), second_view=again)

    def _montage(
        self,
        image: npt.NDArray[np.float32],
        slices: npt.NDArray[np.int64],
        rng: np.random.Generator,
    ) -> npt.NDArray[np.float32]:
        count, (height, width) = self._tiles**2, self._tile
        places = np.sort(rng.choice(slices, count, replace=len(slices) < count))
        tiles = image[:, places].reshape(len(image), self._tiles, self._tiles, height, width)
        rows = tiles.transpose(0, 1, 3, 2, 4)
        return rows.reshape(len(image), 1, self._tiles * height, self._tiles * width)

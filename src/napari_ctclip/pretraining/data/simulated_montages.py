"""SimulatedMontages: montages of the lungs of simulated chests; a sample source for 2D models."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

import numpy as np

from napari_ctclip.core.study import Study
from napari_ctclip.pretraining.data.montage_views import MontageOptions, montage_views
from napari_ctclip.pretraining.data.samples import TrainingSample
from napari_ctclip.simulation import simulate_study

__all__ = ["SimulatedMontages"]


class SimulatedMontages:
    """Montages as the viewer builds them, of patches drawn anew for every sample.

    For trials without data. Studies are made when they are first asked for and kept in memory.

    Parameters
    ----------
    seeds : sequence of int
        One study each.
    spacing_mm : tuple of float
        Voxel spacing (z, y, x) of the chests.
    options : MontageOptions
        How a montage looks.
    """

    anatomies: tuple[str, ...] = ()

    def __init__(
        self,
        seeds: Sequence[int],
        *,
        spacing_mm: tuple[float, float, float],
        options: MontageOptions,
    ) -> None:
        self._seeds, self._spacing_mm, self._options = tuple(seeds), spacing_mm, options
        self._studies: dict[int, Study] = {}
        self._lock = Lock()  # batches are made in threads

    def __len__(self) -> int:
        return len(self._seeds)

    def sample(self, index: int, rng: np.random.Generator) -> TrainingSample:
        """Return a montage of one study, and another one as its second view."""
        study = self._study(self._seeds[index])
        masks, report = study.organ_masks, study.report
        assert masks is not None, "simulated studies have masks"
        assert report is not None, "simulated studies have a report"
        picture, again = montage_views(study.volume, masks, rng, self._options, count=2)
        return TrainingSample(
            study_id=study.study_id,
            image=picture,
            masks=np.zeros((0, *picture.shape[1:]), dtype=bool),
            captions=(),
            report=f"{report.findings} {report.impression}".strip(),
            second_view=again,
        )

    def _study(self, seed: int) -> Study:
        with self._lock:
            if seed not in self._studies:
                self._studies[seed] = simulate_study(seed, spacing_mm=self._spacing_mm).study
            return self._studies[seed]

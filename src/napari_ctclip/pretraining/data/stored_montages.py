"""StoredMontages: montages of lung patches of prepared scans; a sample source for 2D models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.volume import Volume
from napari_ctclip.io.store.study_store import StudyStore
from napari_ctclip.pretraining.data.montage_views import MontageOptions, montage_views
from napari_ctclip.pretraining.data.samples import TrainingSample
from napari_ctclip.pretraining.data.study_choice import ChosenStudy, organ_text

__all__ = ["StoredMontages"]


class StoredMontages:
    """Montages of the lung, drawn anew for every sample, with what is said of the lung.

    Parameters
    ----------
    store : StudyStore
        Of the studies; axes I, P, L.
    studies : sequence of ChosenStudy
        What to draw from; their boxes are those of the lung.
    options : MontageOptions
        How a montage looks.
    views : int
        Montages a sample: 0 (texts only, a blank picture), 1 or 2.
    whole_report : bool
        Whether the text is the whole report in place of the lung's sentences.

    References
    ----------
    Van Uden et al. 2023 (arXiv 2306.01111), abstract: montages and lung sections of the reports.
    """

    anatomies: tuple[str, ...] = ()

    def __init__(
        self,
        store: StudyStore,
        studies: Sequence[ChosenStudy],
        options: MontageOptions,
        *,
        views: int = 1,
        whole_report: bool = False,
    ) -> None:
        self._store, self._studies, self._options = store, tuple(studies), options
        self._views, self._whole_report = views, whole_report
        self._legend = {name: number for number, name in enumerate(store.anatomies, start=1)}

    def __len__(self) -> int:
        return len(self._studies)

    def sample(self, index: int, rng: np.random.Generator) -> TrainingSample:
        """Return one or two montages of one study.

        Raises
        ------
        DataError
            If the stored study is damaged, or no patch fits its slices.
        """
        study = self._studies[index]
        views = self._montages(study, rng)
        entry = study.entry
        lung = organ_text(self._options.plan.organ, entry.organ_sentences)
        return TrainingSample(
            study_id=entry.study_id,
            image=views[0],
            masks=np.zeros((0, *views.shape[2:]), dtype=bool),
            captions=(),
            report=entry.text if self._whole_report else lung,
            second_view=views[1] if self._views > 1 else None,
        )

    def _montages(self, study: ChosenStudy, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        options = self._options
        if not self._views:
            rows, columns = (n * options.tile_pixels for n in options.grid)
            return np.zeros((1, len(options.windows_hu), 1, rows, columns), dtype=np.float32)
        start, stop = self._around_lung(study)
        part = self._store.crop(study.entry.study_id, start, stop)
        volume = Volume(part.voxels, part.geometry)
        masks = OrganMasks(part.labels, self._legend, part.geometry)
        return montage_views(volume, masks, rng, options, count=self._views)

    def _around_lung(self, study: ChosenStudy) -> tuple[list[int], list[int]]:
        """Return the box of the lung and half a patch around it, inside the scan."""
        start, stop = study.box or ((0, 0, 0), study.shape)
        half_mm = self._options.plan.size_mm / 2
        _, *spacing = self._store.specification.spacing_mm
        grow = [0, *(int(np.ceil(half_mm / s)) for s in spacing)]
        return (
            [max(0, a - n) for a, n in zip(start, grow, strict=True)],
            [min(b + n, size) for b, n, size in zip(stop, grow, study.shape, strict=True)],
        )

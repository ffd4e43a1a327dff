"""StoredStudies: random crops of prepared scans or radiographs; a sample source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.anatomy import members
from napari_ctclip.io.store.study_store import StudyStore
from napari_ctclip.preprocessing.intensity import window_channels
from napari_ctclip.preprocessing.specification import Preprocessing
from napari_ctclip.pretraining.data.caption_findings import CaptionReader
from napari_ctclip.pretraining.data.random_crops import Box, CropOptions, draw_flips, draw_start
from napari_ctclip.pretraining.data.samples import TrainingSample
from napari_ctclip.pretraining.data.study_choice import ChosenStudy
from napari_ctclip.reports.captions import OrganCaption

__all__ = ["StoredStudies"]


class StoredStudies:
    """Crops of stored studies; each reads the chunks of the store that it touches.

    A crop lies in the box of the study's anatomies and a margin around it, or in the whole scan.
    What lies beyond the scan is 0, as ``Preprocessing`` pads it for the viewer.

    Parameters
    ----------
    store : StudyStore
        The store of the studies, on the model's grid.
    studies : sequence of ChosenStudy
        What to draw from.
    preprocessing : Preprocessing
        Its windows become channels.
    crops : CropOptions
        How a sample is cut.
    reader : CaptionReader
        The reader of the captions.

    References
    ----------
    Shui et al. 2025 (arXiv 2501.14548), implementation details: crop to the organs' box and a
    margin, random crop, flips.
    """

    def __init__(
        self,
        store: StudyStore,
        studies: Sequence[ChosenStudy],
        *,
        preprocessing: Preprocessing,
        crops: CropOptions,
        reader: CaptionReader,
    ) -> None:
        self._store, self._studies = store, tuple(studies)
        self._windows = preprocessing.windows_hu
        self._crops, self._reader = crops, reader
        self._labels = [
            [store.anatomies.index(part) + 1 for part in members(name, store.anatomies)]
            for name in crops.anatomies
        ]
        self._captions: dict[int, tuple[OrganCaption, ...]] = {}

    @property
    def anatomies(self) -> tuple[str, ...]:
        """Names of the masks and captions."""
        return self._crops.anatomies

    def __len__(self) -> int:
        return len(self._studies)

    def sample(self, index: int, rng: np.random.Generator) -> TrainingSample:
        """Return a random crop of one study.

        Raises
        ------
        DataError
            If the stored study is damaged.
        """
        study = self._studies[index]
        if index not in self._captions:
            self._captions[index] = self._reader.captions(study.entry)
        image, masks = self._crop(study, rng)
        return TrainingSample(
            study_id=study.entry.study_id,
            image=image,
            masks=masks,
            captions=self._captions[index],
            report=study.entry.text,
        )

    def _crop(
        self, study: ChosenStudy, rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        crop = self._crops.shape
        start = draw_start(study.shape, crop, rng, box=self._grown(study.box))
        axes = draw_flips(self._crops.flip, rng)
        stop = [min(a + n, size) for a, n, size in zip(start, crop, study.shape, strict=True)]
        stored = self._store.crop(study.entry.study_id, start, stop)
        inside = (slice(None), *(slice(n) for n in stored.voxels.shape))
        image = np.zeros((len(self._windows), *crop), dtype=np.float32)
        masks = np.zeros((len(self._labels), *crop), dtype=bool)
        # written through a flipped view: half a crop's time went into flipping it afterwards
        np.flip(image, axes)[inside] = window_channels(stored.voxels, self._windows)
        turned = np.flip(masks, axes)[inside]
        for mask, labels in zip(turned, self._labels, strict=True):
            for label in labels:
                mask |= stored.labels == label
        return image, masks

    def _grown(self, box: Box | None) -> Box | None:
        if box is None:
            return None
        (z0, y0, x0), (z1, y1, x1) = box
        dz, dy, dx = self._crops.margin
        return (z0 - dz, y0 - dy, x0 - dx), (z1 + dz, y1 + dy, x1 + dx)

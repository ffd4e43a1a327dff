"""TokensAhead: samples whose images a locked tower has seen already, once for all trainings."""

from __future__ import annotations

from threading import Lock

import numpy as np
import torch

from napari_ctclip.models.towers.locked_tower import LockedTower3d
from napari_ctclip.pretraining.data.samples import SampleSource, TrainingSample
from napari_ctclip.reports.captions import OrganCaption

__all__ = ["TokensAhead"]

_STREAM = 0

Words = tuple[str, tuple[OrganCaption, ...], str]
"""What is kept of a sample as it is: its study's id, captions and report."""


class TokensAhead:
    """A source of samples with the locked tower's tokens in the image's place.

    All of them are kept in two arrays: many small blocks among the voxels that come and go would
    leave holes in memory that nothing fits into.

    Parameters
    ----------
    source : SampleSource
        Of the samples; each is drawn once, so its random numbers are drawn once too.
    encoder : LockedTower3d
        Of a model that will be trained, or of one with the same tower.
    """

    def __init__(self, source: SampleSource, encoder: LockedTower3d) -> None:
        self._source, self._encoder = source, encoder
        self._words: dict[int, Words] = {}
        self._making = Lock()
        self._tokens = np.empty(0, np.float32)  # (N, T, d, h, w)
        self._bits = np.empty(0, np.uint8)  # (N, R / 8, D, H, W), one bit an anatomy

    @property
    def anatomies(self) -> tuple[str, ...]:
        """Names of the masks and captions."""
        return self._source.anatomies

    def __len__(self) -> int:
        return len(self._source)

    def sample(self, index: int, rng: np.random.Generator) -> TrainingSample:
        """Return a sample; ``rng`` is not used."""
        if index not in self._words:
            self._look(index)
        study_id, captions, report = self._words[index]
        masks = np.unpackbits(self._bits[index], axis=0, count=len(captions)).view(bool)
        return TrainingSample(study_id, self._tokens[index], masks, captions, report)

    def _look(self, index: int) -> None:
        sample = self._source.sample(index, np.random.default_rng([index, _STREAM]))
        tokens = self._encoder.ahead(torch.from_numpy(sample.image)[None])[0].numpy()
        bits = np.packbits(sample.masks, axis=0)
        with self._making:
            if not len(self._tokens):
                self._bits = np.empty((len(self), *bits.shape), np.uint8)
                self._tokens = np.empty((len(self), *tokens.shape), np.float32)
        self._tokens[index], self._bits[index] = tokens, bits
        self._words[index] = (sample.study_id, sample.captions, sample.report)

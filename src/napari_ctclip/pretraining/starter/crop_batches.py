"""Crop batches: what the starter sees at each step, as tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from napari_ctclip.pretraining.starter.dataset import StudyFolder, TrainingCrop

__all__ = ["CropDraws", "CropPlan", "TokenBatch", "collate_crops"]

_REFRESH_EVERY = 20  # steps between looks for studies that were added


@dataclass(frozen=True, eq=False)
class TokenBatch:
    """Crops with the truth of every token.

    Attributes
    ----------
    images : Tensor (B, C, D, H, W) float32
        Prepared crops.
    findings : Tensor (B, F, d, h, w) uint8
        The voxels of eight that each of ``simulation.FINDINGS`` fills.
    tissue : Tensor (B, d, h, w) uint8
        An index into ``token_targets.TISSUES``, or ``UNSURE``.
    phrasings : tuple of tuple of str, B x K
        What is said of each finding and tissue that a crop shows.
    study_ids : tuple of str, B of them
        Who they are.
    """

    images: Tensor
    findings: Tensor
    tissue: Tensor
    phrasings: tuple[tuple[str, ...], ...]
    study_ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device) -> TokenBatch:
        """Return the batch with its tensors on a device."""
        return replace(
            self,
            images=self.images.to(device),
            findings=self.findings.to(device),
            tissue=self.tissue.to(device),
        )

    def chunks(self, size: int) -> Iterator[TokenBatch]:
        """Yield the batch in parts of ``size`` samples, the last one perhaps smaller."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield TokenBatch(
                self.images[part],
                self.findings[part],
                self.tissue[part],
                self.phrasings[part],
                self.study_ids[part],
            )


def collate_crops(crops: Sequence[TrainingCrop]) -> TokenBatch:
    """Return crops of one shape as a batch."""
    return TokenBatch(
        torch.from_numpy(np.stack([crop.image for crop in crops])),
        torch.from_numpy(np.stack([crop.findings for crop in crops])),
        torch.from_numpy(np.stack([crop.tissue for crop in crops])),
        tuple(crop.phrasings for crop in crops),
        tuple(crop.study_id for crop in crops),
    )


@dataclass(frozen=True)
class CropPlan:
    """How large and how many the crops of a step are.

    Most steps see many small crops. Some see few wide ones: a mass differs from a consolidation,
    and an enlarged heart from a normal one, in what surrounds them.

    Attributes
    ----------
    size, count : int
        The voxels along each axis of a small crop, and the crops of a step.
    wide_size, wide_count : int
        The same of wide crops.
    wide_every : int
        Every so many steps sees wide crops; 0 for none.
    """

    size: int
    count: int
    wide_size: int = 0
    wide_count: int = 0
    wide_every: int = 0

    def at(self, step: int) -> tuple[int, int]:
        """Return the size and the count of a step."""
        wide = self.wide_every > 0 and step % self.wide_every == self.wide_every - 1
        return (self.wide_size, self.wide_count) if wide else (self.size, self.count)


class CropDraws:
    """What each step of the starter draws.

    Studies that are added to the folder while the training runs are drawn from too: for a resumed
    run to equal an unbroken one, the folder must hold the same studies at the same steps.

    Parameters
    ----------
    studies : StudyFolder
        Makes the crops.
    plan : CropPlan
        How large and how many they are.
    seed : int
        The seed of the run.
    """

    def __init__(self, studies: StudyFolder, plan: CropPlan, *, seed: int) -> None:
        self._studies, self._plan, self._seed = studies, plan, seed

    def __len__(self) -> int:
        return len(self._studies)

    def draws(self, step: int) -> list[Callable[[], TrainingCrop]]:
        """Return a function that makes each crop of a step, of all ranks together."""
        if step % _REFRESH_EVERY == 0:
            self._studies = self._studies.refreshed()
        size, count = self._plan.at(step)
        return [
            partial(
                self._studies.draw, np.random.default_rng([self._seed, step, number]), size=size
            )
            for number in range(count)
        ]

    def collate(self, samples: Sequence[TrainingCrop]) -> TokenBatch:
        """Return crops as a batch."""
        return collate_crops(samples)

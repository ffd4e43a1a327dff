"""Samples: what every method trains on, and batches of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_ctclip.core.errors import DataError
from napari_ctclip.reports.captions import OrganCaption

__all__ = ["Batch", "Need", "SampleSource", "StudyBatch", "TrainingSample", "collate_samples"]

Need = Literal[
    "report", "masks", "sentences", "findings", "lung mask", "lung sentences", "second view"
]
"""What a method may need of a study: its whole text; an anatomy with a mask, with a sentence, with
both; the names of findings in the sentences; the lungs; a second picture."""


@dataclass(frozen=True, eq=False)
class TrainingSample:
    """One crop of one study, with what is said of it.

    Attributes
    ----------
    study_id : str
        Named when a step goes wrong.
    image : ndarray (C, D, H, W) float32
        As the model sees it; D is 1 for a montage or a radiograph.
    masks : ndarray (R, D, H, W) bool
        One mask an anatomy, in the source's order; R may be 0.
    captions : tuple of OrganCaption, R of them
        What is said of each anatomy; an empty text where nothing is known.
    report : str
        What is said of the whole.
    second_view : ndarray (C, D, H, W) float32, optional
        Another picture of the same patient.
    """

    study_id: str
    image: npt.NDArray[np.float32]
    masks: npt.NDArray[np.bool_]
    captions: tuple[OrganCaption, ...]
    report: str
    second_view: npt.NDArray[np.float32] | None = None


class SampleSource(Protocol):
    """Where samples come from: a store of prepared studies, a simulated cohort."""

    @property
    def anatomies(self) -> tuple[str, ...]:
        """Names of the masks and captions, in their order."""
        ...

    def __len__(self) -> int:
        """Return the number of studies."""
        ...

    def sample(self, index: int, rng: np.random.Generator) -> TrainingSample:
        """Return a crop of one study; all random numbers come from ``rng``."""
        ...


class Batch(Protocol):
    """The samples of a step as tensors; what the loop knows of them."""

    @property
    def study_ids(self) -> tuple[str, ...]:
        """Who they are, for messages."""
        ...

    def __len__(self) -> int:
        """Return the number of samples."""
        ...

    def to(self, device: torch.device) -> Self:
        """Return the batch with its tensors on a device."""
        ...

    def chunks(self, size: int) -> Iterator[Self]:
        """Yield the batch in parts of ``size`` samples, the last one perhaps smaller."""
        ...


@dataclass(frozen=True, eq=False)
class StudyBatch:
    """Samples of one shape as tensors.

    Attributes
    ----------
    images : Tensor (B, C, D, H, W) float32
        Prepared crops.
    masks : Tensor (B, R, D, H, W) bool
        One mask an anatomy.
    captions : tuple of tuple of OrganCaption, B x R
        What is said of each.
    reports : tuple of str, B of them
        What is said of the whole.
    study_ids : tuple of str, B of them
        Who they are.
    second_views : Tensor (B, C, D, H, W) float32, optional
        Another picture of each.
    """

    images: Tensor
    masks: Tensor
    captions: tuple[tuple[OrganCaption, ...], ...]
    reports: tuple[str, ...] = ()
    study_ids: tuple[str, ...] = ()
    second_views: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device) -> StudyBatch:
        """Return the batch with its tensors on a device."""
        second = self.second_views
        return replace(
            self,
            images=self.images.to(device, non_blocking=True),
            masks=self.masks.to(device, non_blocking=True),
            second_views=None if second is None else second.to(device, non_blocking=True),
        )

    def chunks(self, size: int) -> Iterator[StudyBatch]:
        """Yield the batch in parts of ``size`` samples, the last one maybe smaller."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            second = self.second_views
            yield StudyBatch(
                self.images[part],
                self.masks[part],
                self.captions[part],
                self.reports[part],
                self.study_ids[part],
                None if second is None else second[part],
            )


def collate_samples(samples: Sequence[TrainingSample]) -> StudyBatch:
    """Return samples as a batch.

    Raises
    ------
    DataError
        If their shapes differ; the studies are named.
    """
    shapes = {(sample.image.shape, sample.masks.shape): sample.study_id for sample in samples}
    if len(shapes) > 1:
        described = "; ".join(f"{name}: image {i}, masks {m}" for (i, m), name in shapes.items())
        raise DataError(
            f"samples of one batch differ in shape: {described}; give them one crop size"
        )
    second = [sample.second_view for sample in samples]
    return StudyBatch(
        images=torch.from_numpy(np.stack([sample.image for sample in samples])),
        masks=torch.from_numpy(np.stack([sample.masks for sample in samples])),
        captions=tuple(sample.captions for sample in samples),
        reports=tuple(sample.report for sample in samples),
        study_ids=tuple(sample.study_id for sample in samples),
        second_views=(
            torch.from_numpy(np.stack([view for view in second if view is not None]))
            if all(view is not None for view in second)
            else None
        ),
    )

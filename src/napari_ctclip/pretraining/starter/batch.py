"""Batch: training crops as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from napari_ctclip.pretraining.starter.dataset import TrainingCrop

__all__ = ["TokenBatch", "collate"]


@dataclass(frozen=True)
class TokenBatch:
    """Crops with the truth of every token.

    Attributes
    ----------
    images : Tensor (B, C, D, H, W) float32
        Prepared crops.
    findings : Tensor (B, F, d, h, w) uint8
        Voxels of eight that each of ``simulation.FINDINGS`` fills.
    tissue : Tensor (B, d, h, w) uint8
        Index into ``token_targets.TISSUES``, or ``UNSURE``.
    """

    images: Tensor
    findings: Tensor
    tissue: Tensor

    def to(self, device: torch.device | str) -> TokenBatch:
        """Return the batch on a device."""
        return TokenBatch(self.images.to(device), self.findings.to(device), self.tissue.to(device))


def collate(crops: Sequence[TrainingCrop]) -> TokenBatch:
    """Return crops of one shape as a batch."""
    return TokenBatch(
        torch.from_numpy(np.stack([crop.image for crop in crops])),
        torch.from_numpy(np.stack([crop.findings for crop in crops])),
        torch.from_numpy(np.stack([crop.tissue for crop in crops])),
    )

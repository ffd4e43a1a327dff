"""CLIP: every scan against its own report, among all reports of the batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from napari_ctclip.pretraining.data.samples import StudyBatch
from napari_ctclip.pretraining.losses import contrastive_loss
from napari_ctclip.pretraining.objectives.objective import (
    Objective,
    Options,
    Rows,
    scale_rows,
)

__all__ = ["Clip"]


class Clip(Objective):
    """Whole image against whole report.

    References
    ----------
    Radford et al. 2021 (CLIP), section 2.3.
    """

    options_type = Options

    def embed(self, model: Any, batch: StudyBatch) -> Rows:
        """Return image and text vectors (B, E) and the scale."""
        return {
            "image": model.embed_global(model.encode_image(batch.images)),
            "text": model.embed_text(batch.reports),
            "scale": scale_rows(model, len(batch)),
        }

    def loss(self, rows: Rows) -> dict[str, Tensor]:
        """Return the symmetric cross-entropy with identity targets."""
        similarity = rows["image"] @ rows["text"].T
        targets = torch.eye(len(similarity), device=similarity.device)
        return {"contrast": contrastive_loss(similarity, targets, rows["scale"].mean())}

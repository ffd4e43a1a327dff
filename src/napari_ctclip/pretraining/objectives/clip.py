"""CLIP and SigLIP: every scan against its own report, among all reports of the batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from napari_ctclip.core.errors import DataError
from napari_ctclip.pretraining.data.samples import StudyBatch
from napari_ctclip.pretraining.losses import contrastive_loss, sigmoid_loss
from napari_ctclip.pretraining.objectives.objective import (
    Objective,
    Options,
    Rows,
    scale_rows,
)

__all__ = ["Clip", "SigLip"]


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


class SigLip(Objective):
    """Whole image against whole report, pair by pair; the model needs a bias.

    References
    ----------
    Zhai et al. 2023 (SigLIP), section 3.2, algorithm 1.
    """

    options_type = Options

    def embed(self, model: Any, batch: StudyBatch) -> Rows:
        """Return image and text vectors (B, E), scale and bias.

        Raises
        ------
        DataError
            If the model has no bias.
        """
        if model.logit_bias is None:
            raise DataError(
                "siglip needs a model with a bias; set model.head = { logit_bias = -10.0 }"
            )
        return {
            "image": model.embed_global(model.encode_image(batch.images)),
            "text": model.embed_text(batch.reports),
            "scale": scale_rows(model, len(batch)),
            "bias": model.logit_bias.expand(len(batch)),
        }

    def loss(self, rows: Rows) -> dict[str, Tensor]:
        """Return the mean over images of the sum over texts."""
        similarity = rows["image"] @ rows["text"].T
        targets = torch.eye(len(similarity), device=similarity.device)
        return {
            "sigmoid": sigmoid_loss(
                similarity, targets, rows["scale"].mean(), bias=rows["bias"].mean()
            )
        }

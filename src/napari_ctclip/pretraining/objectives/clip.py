"""CLIP, SigLIP and LRCLR: scans against their own reports, among all reports of the batch."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from napari_ctclip.core.errors import DataError
from napari_ctclip.models.towers.interaction import local_similarity
from napari_ctclip.pretraining.data.samples import StudyBatch
from napari_ctclip.pretraining.losses import contrastive_loss, sigmoid_loss
from napari_ctclip.pretraining.objectives.objective import (
    Objective,
    Options,
    Rows,
    scale_rows,
)

__all__ = ["Clip", "Lrclr", "LrclrOptions", "SigLip"]


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


class LrclrOptions(Options):
    """The ``[objective]`` table of LRCLR. Ours, every number: none was published.

    Attributes
    ----------
    local_weight : float
        The weight of the word-to-region term beside the global one.
    entropy_weight : float
        Of the selection's entropy (0..1): above 0, the scores are pushed to decide.
    words : int
        Pieces of a report that look at regions; the rest is read by the global term only. 97 is
        GLoRIA's number.
    sharpness, emphasis : float
        See ``models.interaction.local_similarity``; GLoRIA's numbers.
    """

    local_weight: float = Field(default=1.0, ge=0)
    entropy_weight: float = Field(default=0.0, ge=0)
    words: int = Field(default=97, ge=1)
    sharpness: float = Field(default=4.0, gt=0)
    emphasis: float = Field(default=5.0, gt=0)


class Lrclr(Objective):
    """Objective of LRCLR: ``InfoNCE(s_global) + w InfoNCE(s_local) + m H(selection)``.

    References
    ----------
    Rizvi et al. 2023 (LRCLR, arXiv 2303.14153), abstract: selection of significant regions and
    cross-modality interaction. The formula is ours, after Huang et al. 2021 (GLoRIA), section 3.2.
    """

    options_type = LrclrOptions

    def embed(self, model: Any, batch: StudyBatch) -> Rows:
        """Return whole vectors (B, E), regions (B, K, E) and words (B, L, E)."""
        features = model.encode_image(batch.images)
        selected = model.select(features)
        words, real = model.embed_words(batch.reports)
        missing = self.options.words - words.shape[1]  # one length, so that rows can be joined
        return {
            "image": model.summarise(features, selected),
            "text": model.embed_sentences(batch.reports),
            "regions": model.project_regions(selected.tokens),
            "weights": selected.weights,
            "entropy": selected.entropy,
            "words": functional.pad(words, (0, 0, 0, missing)),
            "real": functional.pad(real, (0, missing)),
            "scale": scale_rows(model, len(batch)),
        }

    def loss(self, rows: Rows) -> dict[str, Tensor]:
        """Return the global term, the local term and the entropy."""
        scale = rows["scale"].mean()
        targets = torch.eye(len(rows["image"]), device=scale.device)
        local = local_similarity(
            rows["words"],
            rows["real"],
            rows["regions"],
            rows["weights"],
            sharpness=self.options.sharpness,
            emphasis=self.options.emphasis,
        )
        return {
            "global": contrastive_loss(rows["image"] @ rows["text"].T, targets, scale),
            "local": self.options.local_weight * contrastive_loss(local, targets, scale),
            "entropy": self.options.entropy_weight * rows["entropy"].mean(),
        }

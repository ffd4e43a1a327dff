"""Patch objective: patches against texts, as wholes and token by token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from napari_ctclip.models.published.slice_model import SliceModel
from napari_ctclip.pretraining.data.sentences import TextClass, Vocabulary, load_vocabulary
from napari_ctclip.pretraining.losses import contrastive_loss
from napari_ctclip.pretraining.objectives.objective import (
    Objective,
    Options,
    Rows,
    Setting,
    scale_rows,
)
from napari_ctclip.pretraining.starter.localisation_targets import seen_at_tokens
from napari_ctclip.pretraining.starter.patch_batches import PatchBatch
from napari_ctclip.pretraining.starter.patch_losses import (
    EarlierTokens,
    localisation_loss,
    ranking_loss,
)
from napari_ctclip.pretraining.starter.patch_pool import PATCH_FINDINGS
from napari_ctclip.pretraining.starter.token_targets import TISSUES

__all__ = ["PatchObjective", "PatchObjectiveOptions", "draw_phrasing", "text_classes"]

_OUT_OF_REACH = -1e3  # of a cosine: nothing competes there
_NEGATED = 0.25
_LUNG = len(PATCH_FINDINGS) + TISSUES.index("lung")
_EARLIER = "layer3"
"""Ours: the last layer but one, with tokens of 16 pixels."""

_SENTENCES, _CHOICES = 2, 3  # streams of random numbers


class PatchObjectiveOptions(Options):
    """The ``[objective]`` table of starter_2d.

    Attributes
    ----------
    localisation : float
        The weight of the localisation loss, the mean over the last layer and the one before; 0
        leaves it out.
    ranking : float
        The weight of the ranking loss, of wholes and of these tokens; 0 leaves it out.
    ranking_from : int
        The first step of the ranking loss: what is common is learnt before.
    """

    localisation: float = Field(default=0.0, ge=0)
    ranking: float = Field(default=0.0, ge=0)
    ranking_from: int = Field(default=0, ge=0)


class ReadOutModel(nn.Module):
    """A 2D CLIP with the read-out of an earlier layer, which is trained beside it."""

    def __init__(self, model: SliceModel, *, earlier: bool) -> None:
        super().__init__()
        self.model = model
        width = int(model.config["model_cfg"]["embed_dim"])
        self.earlier = EarlierTokens(model, _EARLIER, width) if earlier else None


class PatchObjective(Objective):
    """Objective of the 2D starter model.

    As many texts as patches, every finding and tissue among them, compete for the patches as wholes
    (*contrast*); for the tokens of the last layer and of an earlier one (*localisation*); and what
    shows a finding is ranked above what shows normal lung (*ranking*).
    """

    options_type = PatchObjectiveOptions
    highest_scale = 40.0

    def __init__(self, options: PatchObjectiveOptions, setting: Setting) -> None:
        super().__init__(options, setting)
        self._vocabulary = load_vocabulary()
        self._classes = text_classes(self._vocabulary)
        self._rng = np.random.default_rng([setting.seed, _CHOICES])
        self._kinds = np.empty(0, np.int64)
        self._texts: list[str] = []
        self._ranked: list[str] = []

    def module(self, model: Any, make_another: Callable[[], nn.Module]) -> nn.Module:
        """Return the model, with the read-out of an earlier layer where localisation needs it."""
        model.clip.visual.to(memory_format=torch.channels_last)  # a third faster in bf16
        return ReadOutModel(model, earlier=self.options.localisation > 0)

    def model_of(self, module: nn.Module) -> nn.Module:
        """Return the model without the read-out."""
        assert isinstance(module, ReadOutModel)
        return module.model

    def start_step(self, module: nn.Module, step: int) -> None:
        """Draw the step's texts, alike on every rank."""
        rng = np.random.default_rng([self.setting.seed, _SENTENCES, step])
        classes, count = self._classes, self.setting.batch
        rounds = -(-count // len(classes))
        order = [rng.permutation(len(classes)) for _ in range(rounds)]
        self._kinds = np.concatenate(order)[:count]
        self._texts = [draw_phrasing(classes[int(k)], self._vocabulary, rng) for k in self._kinds]
        self._ranked = []
        if self.options.ranking and step >= self.options.ranking_from:
            ranked = (*classes[: len(PATCH_FINDINGS)], classes[_LUNG])
            self._ranked = [self._vocabulary.draw(kind, rng) for kind in ranked]
        self._rng = np.random.default_rng([self.setting.seed, _CHOICES, step])

    def embed(self, model: ReadOutModel, batch: PatchBatch) -> Rows:
        """Return patches and their tokens, what they show, and the texts they are compared with.

        Every sample carries the step's texts: so their gradient travels as that of the patches.
        """
        clip = model.model
        pictures = batch.image.contiguous(memory_format=torch.channels_last)
        features = clip.encode_image(pictures[:, :, None])
        texts = clip.embed_text([*self._texts, *self._ranked])
        rows = {
            "image": clip.embed_global(features),
            "seen": batch.seen,
            "shares": batch.shares,
            "texts": texts.expand(len(batch), *texts.shape),
            "scale": scale_rows(clip, len(batch)),
        }
        if model.earlier is not None:
            rows["last"], rows["earlier"] = clip.embed_dense(features)[:, :, 0], model.earlier()
        return rows

    def loss(self, rows: Rows) -> dict[str, Tensor]:
        """Return the named terms; their sum is the loss."""
        # the same for every sample of the step
        scale, vectors = rows["scale"][0], rows["texts"][0]
        texts, ranked = vectors[: len(self._texts)], vectors[len(self._texts) :]
        kinds = torch.from_numpy(self._kinds).to(texts.device)
        seen = rows["seen"][:, kinds]
        similarity = (rows["image"] @ texts.T).masked_fill(seen < 0, _OUT_OF_REACH)
        terms = {"contrast": contrastive_loss(similarity, (seen == 1).float(), scale)}
        layers = [rows[name] for name in ("last", "earlier") if name in rows]
        if layers:
            each = [localisation_loss(t, rows["shares"], texts, kinds, scale) for t in layers]
            terms["localisation"] = self.options.localisation * torch.stack(each).mean()
        if self.options.ranking:
            terms["ranking"] = (
                self.options.ranking * self._ranking(rows, layers, ranked, scale)
                if self._ranked
                else scale.new_zeros(())
            )
        return terms

    def _ranking(self, rows: Rows, layers: list[Tensor], texts: Tensor, scale: Tensor) -> Tensor:
        """Return the mean ranking loss of wholes (N, E) and of layers of tokens (N, E, h, w)."""
        found, normal = texts[:-1], texts[-1]
        losses = [ranking_loss(rows["image"], rows["seen"], found, normal, scale, self._rng)]
        for layer in layers:
            shown = seen_at_tokens(rows["shares"], layer.shape[-1])
            vectors, seen = (t.permute(0, 2, 3, 1).flatten(0, 2) for t in (layer, shown))
            losses.append(ranking_loss(vectors, seen, found, normal, scale, self._rng))
        return torch.stack(losses).mean()


def text_classes(vocabulary: Vocabulary) -> tuple[TextClass, ...]:
    """Return findings, then tissues, in the order of ``PatchBatch.seen``."""
    findings = {finding.name: finding for finding in vocabulary.findings}
    tissues = {tissue.name: tissue for tissue in vocabulary.tissues}
    return (*(findings[name] for name in PATCH_FINDINGS), *(tissues[name] for name in TISSUES))


def draw_phrasing(kind: TextClass, vocabulary: Vocabulary, rng: np.random.Generator) -> str:
    """Return one phrasing; of a tissue at times the absence of what would be found in it."""
    absent = [f for f in vocabulary.findings if f.tissue == kind.name and f.name in PATCH_FINDINGS]
    if absent and rng.random() < _NEGATED:
        return vocabulary.draw_negated(absent[int(rng.integers(len(absent)))], rng)
    return vocabulary.draw(kind, rng)

"""Patch objective: patches against texts, as wholes and place by place."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from napari_ctclip.models.published.slice_model import SliceModel
from napari_ctclip.pretraining.data.sentences import TextClass, Vocabulary, load_vocabulary
from napari_ctclip.pretraining.losses import contrastive_loss
from napari_ctclip.pretraining.starter.localisation_loss import EarlierPlaces, localisation_loss
from napari_ctclip.pretraining.starter.localisation_targets import seen_at_places
from napari_ctclip.pretraining.starter.patch_batches import PatchBatch
from napari_ctclip.pretraining.starter.patch_pool import PATCH_FINDINGS
from napari_ctclip.pretraining.starter.ranking_loss import ranking_loss
from napari_ctclip.pretraining.starter.token_targets import TISSUES

__all__ = ["PatchObjective", "draw_phrasing", "text_classes"]

_OUT_OF_REACH = -1e3  # of a cosine: nothing competes there
_NEGATED = 0.25
_LUNG = len(PATCH_FINDINGS) + TISSUES.index("lung")
_EARLIER = "layer3"
"""Ours: the last layer but one, with places of 16 pixels."""


class PatchObjective(nn.Module):
    """The loss of a batch of patches, and what of it is trained beside the model.

    Parameters
    ----------
    model : SliceModel
        With open_clip's ``ModifiedResNet``.
    width : int
        Of embeddings.
    places : float
        Weight of the loss of places, the mean over the last layer and the one before; 0 leaves it
        out.
    ranking : float
        Weight of the ranking loss, of wholes and of these places.
    """

    def __init__(
        self, model: SliceModel, *, width: int, places: float, ranking: float = 0.0
    ) -> None:
        super().__init__()
        self._vocabulary = load_vocabulary()
        self._classes = text_classes(self._vocabulary)
        self._places, self._ranking = places, ranking
        self.earlier = EarlierPlaces(model, _EARLIER, width) if places else None

    def forward(
        self, model: SliceModel, batch: PatchBatch, rng: np.random.Generator, *, ranked: bool = True
    ) -> Tensor:
        """Return the loss of N patches and N texts, every class among them.

        Parameters
        ----------
        model : SliceModel
            The one that this objective was made for.
        batch : PatchBatch
            N patches.
        rng : Generator
            Draws texts, and what is ranked.
        ranked : bool
            Whether the ranking loss takes part.
        """
        N, classes = len(batch.image), self._classes
        rounds = -(-N // len(classes))
        chosen = np.concatenate([rng.permutation(len(classes)) for _ in range(rounds)])[:N]
        texts = [draw_phrasing(classes[int(k)], self._vocabulary, rng) for k in chosen]
        kinds = torch.from_numpy(chosen)
        seen = batch.seen[:, kinds]
        pictures = batch.image.contiguous(memory_format=torch.channels_last)
        features, embedded = model.encode_image(pictures[:, :, None]), model.embed_text(texts)
        similarity = model.embed_global(features) @ embedded.T
        similarity = similarity.masked_fill(seen < 0, _OUT_OF_REACH)
        scale = model.logit_scale.exp()
        loss = contrastive_loss(similarity, (seen == 1).float(), scale)
        layers: tuple[Tensor, ...] = ()
        if self.earlier is not None:
            layers = model.embed_dense(features)[:, :, 0], self.earlier()
            each = [
                localisation_loss(layer, batch.shares, embedded, kinds, scale) for layer in layers
            ]
            loss = loss + self._places * torch.stack(each).mean()
        if ranked and self._ranking:
            wholes = model.embed_global(features)
            loss = loss + self._ranking * self._ranked(model, batch, (wholes, *layers), rng)
        return loss

    def _ranked(
        self,
        model: SliceModel,
        batch: PatchBatch,
        levels: tuple[Tensor, ...],
        rng: np.random.Generator,
    ) -> Tensor:
        """Return the mean ranking loss of wholes (N, E) and of layers of places (N, E, h, w)."""
        asked = (*self._classes[: len(PATCH_FINDINGS)], self._classes[_LUNG])
        *texts, normal = model.embed_text([self._vocabulary.draw(kind, rng) for kind in asked])
        found, scale = torch.stack(texts), model.logit_scale.exp()
        losses = []
        for level in levels:
            vectors, seen = level, batch.seen
            if level.ndim == 4:
                seen = seen_at_places(batch.shares, level.shape[-1])
                vectors, seen = (t.permute(0, 2, 3, 1).flatten(0, 2) for t in (level, seen))
            losses.append(ranking_loss(vectors, seen, found, normal, scale, rng))
        return torch.stack(losses).mean()


def text_classes(vocabulary: Vocabulary) -> tuple[TextClass, ...]:
    """Return findings, then tissues, in the order of ``PatchBatch.seen``."""
    findings = {finding.name: finding for finding in vocabulary.findings}
    tissues = {tissue.name: tissue for tissue in vocabulary.tissues}
    return (*(findings[name] for name in PATCH_FINDINGS), *(tissues[name] for name in TISSUES))


def draw_phrasing(kind: TextClass, vocabulary: Vocabulary, rng: np.random.Generator) -> str:
    """Return one wording; of a tissue at times the absence of what would be found in it."""
    absent = [f for f in vocabulary.findings if f.tissue == kind.name and f.name in PATCH_FINDINGS]
    if absent and rng.random() < _NEGATED:
        return vocabulary.draw_negated(absent[int(rng.integers(len(absent)))], rng)
    return vocabulary.draw(kind, rng)

"""Token grounding: every token is told which sentences are true of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_ctclip.models.dual_encoder import DualEncoder
from napari_ctclip.pretraining.data.sentences import Vocabulary
from napari_ctclip.pretraining.losses import contrastive_loss
from napari_ctclip.pretraining.starter.batch import TokenBatch
from napari_ctclip.pretraining.starter.token_targets import TISSUES, UNSURE

__all__ = ["TokenGrounding"]

_SMALL = ("lung nodule", "coronary calcification", "aortic calcification")  # fill few voxels
_TOLD_BY_SIZE = ("cardiomegaly",)  # not to be seen in a small crop: nothing is asked of it there
_WIDE_TOKENS = 36  # along an axis of a crop that holds a heart
_SHARE = 0.08  # of all tokens that enter the loss, besides positives and hard negatives
_MOST_POSITIVE = 3000  # tokens of one finding in a batch
_MOST_ROWS = 64  # regions in the contrast
_LEAST_TISSUE_TOKENS = 8  # for a region of normal tissue


@dataclass(frozen=True)
class _Labels:
    """Truth of N tokens."""

    positive: Tensor  # (F, N) bool
    negative: Tensor  # (F, N) bool
    tissue: Tensor  # (N,)
    crop: Tensor  # (N,) which crop of the batch

    @property
    def alone(self) -> Tensor:
        """Tokens (N,) that one finding fills and no other could be said of."""
        return self.positive.any(dim=0) & ((~self.negative).sum(dim=0) == 1)

    def at(self, index: Tensor) -> _Labels:
        return _Labels(
            self.positive[:, index], self.negative[:, index], self.tissue[index], self.crop[index]
        )


@dataclass(frozen=True)
class _Texts:
    """Unit vectors of one step's sentences."""

    findings: Tensor  # (F, wordings, E)
    negated: Tensor  # (F, E)
    tissues: Tensor  # (14, E)


class TokenGrounding:
    """Objective of the starter model.

    Three terms: *grounding*, the sigmoid loss of each token against each finding, on exactly the
    score the viewer shows (cosine less the smooth maximum over normal tissue and the negated
    prompt), balanced by class and with the hardest negatives counted again; *naming*, a softmax
    over all texts; *regions*, the contrast between pooled regions and sentences with soft targets.

    Parameters
    ----------
    vocabulary : Vocabulary
        Wordings are drawn from it anew at each step.
    rng : numpy Generator
        For the wordings.
    wordings : int
        Of each finding, at a step.
    hard_share : float
        Share of the negatives that counts as hardest.
    naming_weight, region_weight : float
        Ours: factors on the second and third term.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        rng: np.random.Generator,
        *,
        wordings: int = 2,
        hard_share: float = 0.002,
        naming_weight: float = 0.5,
        region_weight: float = 0.4,
    ) -> None:
        self.vocabulary = vocabulary
        self.rng = rng
        self.wordings = wordings
        self.hard_share = hard_share
        self.naming_weight = naming_weight
        self.region_weight = region_weight

    def __call__(self, model: DualEncoder, batch: TokenBatch) -> dict[str, Tensor]:
        """Return the named terms; their sum is the loss."""
        dense = model.embed_dense(model.encode_image(batch.images))
        tokens = dense.permute(0, 2, 3, 4, 1).flatten(0, 3)
        labels = self._labels(batch)
        scale = model.logit_scale.exp()
        texts = self._draw_texts(model)
        index, hard = self._select(tokens.detach(), labels, float(scale.detach()), texts)
        tokens, labels = tokens[index], labels.at(index)
        return {
            "grounding": self._grounding(tokens, labels, hard, scale, texts),
            "naming": self.naming_weight * self._naming(tokens, labels, scale, texts),
            "regions": self.region_weight * self._regions(model, tokens, labels, scale),
        }

    def _draw_texts(self, model: DualEncoder) -> _Texts:
        findings, negated, tissues = (
            self._finding_texts(), self._negated_texts(), self._tissue_texts()
        )  # fmt: skip
        vectors = self._embed(model, findings + negated + tissues)
        parts = torch.split(vectors, [len(findings), len(negated), len(tissues)])
        return _Texts(parts[0].view(len(negated), self.wordings, -1), parts[1], parts[2])

    @torch.no_grad()
    def _select(
        self, tokens: Tensor, labels: _Labels, scale: float, texts: _Texts
    ) -> tuple[Tensor, Tensor]:
        """Return tokens that enter the loss, and which of them (F, n) are hard negatives.

        Gradients of all quarter million tokens would cost more than the network itself.
        """
        logits = _scores(tokens, scale, texts, wording=0)
        logits.masked_fill_(~labels.negative, -torch.inf)
        count = max(32, int(self.hard_share * len(tokens)))
        hardest = torch.topk(logits, count, dim=1).indices
        hard = torch.zeros_like(labels.negative).scatter_(1, hardest, True) & labels.negative
        chance = torch.rand(len(tokens))
        keep = (chance < _SHARE) | hard.any(dim=0)
        for positive in labels.positive:
            keep |= positive & (chance < _MOST_POSITIVE / max(1, int(positive.sum())))
        index = torch.nonzero(keep).flatten()
        return index, hard[:, index]

    def _embed(self, model: DualEncoder, texts: list[str]) -> Tensor:
        with torch.no_grad():  # the text encoder stays as distilled; its projection learns
            vectors = model.text_encoder.encode(texts)
        return model.project_text(vectors)

    def _finding_texts(self) -> list[str]:
        return [
            self.vocabulary.draw(finding, self.rng)
            for finding in self.vocabulary.findings
            for _ in range(self.wordings)
        ]

    def _negated_texts(self) -> list[str]:
        return [self.vocabulary.draw_negated(f, self.rng) for f in self.vocabulary.findings]

    def _tissue_texts(self) -> list[str]:
        """Return one sentence a tissue: the shipped one, another wording, or a negated finding."""
        texts = []
        for tissue in self.vocabulary.tissues:
            denied = [f for f in self.vocabulary.findings if f.tissue == tissue.name]
            kind = self.rng.random()
            if denied and kind < 0.25:
                finding = denied[int(self.rng.integers(len(denied)))]
                texts.append(self.vocabulary.draw_negated(finding, self.rng))
            elif kind < 0.6:
                texts.append(tissue.background)
            else:
                texts.append(self.vocabulary.draw(tissue, self.rng))
        return texts

    def _labels(self, batch: TokenBatch) -> _Labels:
        share = batch.findings
        small = torch.tensor([f.name in _SMALL for f in self.vocabulary.findings])
        enough = torch.where(small, 2, 4).view(1, -1, 1, 1, 1)
        positive = share >= enough
        # a thick slice smears a lesion over its border: a neighbour is neither right nor wrong
        unsure = (share > 0) | _dilated(positive)
        B, _, d, h, w = share.shape
        if d < _WIDE_TOKENS:
            heart = batch.tissue == TISSUES.index("heart")
            for n, finding in enumerate(self.vocabulary.findings):
                if finding.name in _TOLD_BY_SIZE:
                    positive[:, n] = False
                    unsure[:, n] |= heart
        crop = torch.arange(B).view(B, 1, 1, 1).expand(B, d, h, w)
        return _Labels(
            positive.transpose(0, 1).flatten(1),
            (~unsure).transpose(0, 1).flatten(1),
            batch.tissue.flatten().long(),
            crop.flatten(),
        )

    def _grounding(
        self, tokens: Tensor, labels: _Labels, hard: Tensor, scale: Tensor, texts: _Texts
    ) -> Tensor:
        terms = []
        for wording in range(self.wordings):
            logits = _scores(tokens, scale, texts, wording=wording)
            wrong, missed = functional.softplus(logits), functional.softplus(-logits)
            easy = labels.negative & ~hard
            terms.append(
                0.5 * _row_mean(wrong, easy.float()) + 0.5 * _row_mean(wrong, hard.float())
            )
            terms.append(_row_mean(missed, _crop_weights(labels)))
        return torch.stack(terms).mean() * 2

    def _naming(self, tokens: Tensor, labels: _Labels, scale: Tensor, texts: _Texts) -> Tensor:
        vectors = torch.cat([texts.findings[:, 0], texts.tissues])
        count = len(labels.positive)
        alone = labels.alone
        name = torch.where(alone, labels.positive.int().argmax(dim=0), labels.tissue + count)
        named = torch.nonzero(alone | (labels.tissue != UNSURE)).flatten()
        name = name[named]
        loss = functional.cross_entropy(scale * (tokens[named] @ vectors.T), name, reduction="none")
        # every class counts the same, however many tokens it has
        total = torch.zeros(len(vectors)).index_add(0, name, loss)
        members = torch.bincount(name, minlength=len(vectors))
        return total[members > 0].div(members[members > 0]).mean()

    def _regions(
        self, model: DualEncoder, tokens: Tensor, labels: _Labels, scale: Tensor
    ) -> Tensor:
        kinds = self.vocabulary.findings + self.vocabulary.tissues
        tissue = torch.stack([labels.tissue == t for t in range(len(self.vocabulary.tissues))])
        member = torch.cat([labels.positive & labels.alone, tissue])  # (classes, n)
        crops = int(labels.crop.max()) + 1
        rows = member.repeat(crops, 1)  # (crops * classes, n)
        rows &= labels.crop[None] == torch.arange(crops).repeat_interleave(len(member))[:, None]
        least = torch.ones(len(kinds), dtype=torch.long)
        least[len(labels.positive) :] = _LEAST_TISSUE_TOKENS
        filled = torch.nonzero(rows.sum(dim=1) >= least.repeat(crops)).flatten()
        chosen = filled[torch.from_numpy(self.rng.permutation(len(filled))[:_MOST_ROWS])]
        vectors = functional.normalize(rows[chosen].float() @ tokens, dim=-1)
        name = chosen % len(kinds)
        texts = self._embed(model, [self.vocabulary.draw(kinds[n], self.rng) for n in name])
        targets = (name[:, None] == name[None, :]).float()
        return contrastive_loss(vectors @ texts.T, targets, scale)


def _dilated(mask: Tensor) -> Tensor:
    """Return mask (..., d, h, w) grown by one token along each axis."""
    for axis in (-3, -2, -1):
        n = mask.shape[axis]
        grown = mask.clone()
        grown.narrow(axis, 1, n - 1).logical_or_(mask.narrow(axis, 0, n - 1))
        grown.narrow(axis, 0, n - 1).logical_or_(mask.narrow(axis, 1, n - 1))
        mask = grown
    return mask


def _scores(tokens: Tensor, scale: Tensor | float, texts: _Texts, *, wording: int) -> Tensor:
    """Return logits (F, N): the viewer's score times the scale."""
    normal = torch.logsumexp(scale * (texts.tissues @ tokens.T), dim=0)
    denied = scale * (texts.negated @ tokens.T)
    return scale * (texts.findings[:, wording] @ tokens.T) - torch.logaddexp(normal[None], denied)


def _row_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Return the mean over rows of each row's weighted mean (F, N); a row without weight is 0."""
    return ((values * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1e-6)).mean()


def _crop_weights(labels: _Labels) -> Tensor:
    """Return weights (F, N) of positive tokens: a crop counts by the root of how many it has."""
    crops = int(labels.crop.max()) + 1
    counts = torch.zeros(len(labels.positive), crops)
    counts.index_add_(1, labels.crop, labels.positive.float())
    return labels.positive * counts.clamp_min(1).rsqrt()[:, labels.crop]

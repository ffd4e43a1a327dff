"""Token grounding: every token against the sentences that are true of it and those that are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from napari_ctclip.pretraining.data.sentences import load_vocabulary
from napari_ctclip.pretraining.losses import contrastive_loss
from napari_ctclip.pretraining.objectives.objective import (
    Objective,
    Options,
    Rows,
    Setting,
    scale_rows,
)
from napari_ctclip.pretraining.starter.crop_batches import TokenBatch
from napari_ctclip.pretraining.starter.token_targets import TISSUES, UNSURE

__all__ = ["TokenGrounding", "TokenGroundingOptions"]

_SMALL = ("lung nodule", "coronary calcification", "aortic calcification")  # fill few voxels
_KNOWN_BY_SIZE = ("cardiomegaly",)  # not to be seen in a small crop, where it is no target
_WIDE_TOKENS = 36  # along an axis of a crop that holds a heart
_SHARE = 0.08  # of all tokens that enter the loss, besides positives and hard negatives
_MOST_POSITIVE = 3000  # tokens of one finding in a batch
_MOST_ROWS = 64  # regions in the contrast
_LEAST_TISSUE_TOKENS = 8  # for a region of normal tissue
_TEXT_RATE = 0.2
_SENTENCES, _CHOICES = 1, 3  # streams of random numbers


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

    findings: Tensor  # (F, phrasings, E)
    negated: Tensor  # (F, E)
    tissues: Tensor  # (14, E)


class TokenGroundingOptions(Options):
    """The ``[objective]`` table of the starter.

    Attributes
    ----------
    phrasings : int
        How many phrasings of each finding a step contrasts the tokens with.
    hard_share : float
        The share of the negatives that counts as hardest.
    naming_weight, region_weight : float
        Ours: the factors on the second and the third term.
    """

    phrasings: int = Field(default=2, ge=1)
    hard_share: float = Field(default=0.002, ge=0, le=1)
    naming_weight: float = Field(default=0.5, ge=0)
    region_weight: float = Field(default=0.4, ge=0)


class TokenGrounding(Objective):
    """Objective of the starter model.

    Three terms: *grounding*, the sigmoid loss of each token against each finding, on exactly the
    score the viewer shows (cosine less the smooth maximum over normal tissue and the negated
    prompt), balanced by class and with the hardest negatives counted again; *naming*, a softmax
    over all texts; *regions*, the contrast between pooled regions and sentences with soft targets.

    The text encoder stays as it was distilled; its projection learns slowly.
    """

    options_type = TokenGroundingOptions
    highest_scale = 40.0

    def __init__(self, options: TokenGroundingOptions, setting: Setting) -> None:
        super().__init__(options, setting)
        self.vocabulary = load_vocabulary()
        self._rng = np.random.default_rng([setting.seed, _CHOICES])
        self._sentences: list[str] = []

    def module(self, model: nn.Module, make_another: Callable[[], nn.Module]) -> nn.Module:
        """Return the model with its text encoder frozen."""
        encoder: Any = model.text_encoder
        encoder.requires_grad_(False)
        return model

    def rate_factor(self, name: str) -> float:
        """Return a fifth for the text projection: distilled, it follows the image encoder."""
        return _TEXT_RATE if "text_projection" in name else 1.0

    def start_step(self, module: nn.Module, step: int) -> None:
        """Draw the step's sentences, alike on every rank."""
        rng = np.random.default_rng([self.setting.seed, _SENTENCES, step])
        self._sentences = [
            *self._finding_texts(rng), *self._negated_texts(rng), *self._tissue_texts(rng)
        ]  # fmt: skip
        self._rng = np.random.default_rng([self.setting.seed, _CHOICES, step])

    def embed(self, model: Any, batch: TokenBatch) -> Rows:
        """Return the tokens of each crop, what they are, and the sentences they are compared with.

        Every sample carries the step's sentences: so their gradient travels as that of the tokens.
        """
        shown = [text for row in batch.phrasings for text in row if text]
        distinct = list(dict.fromkeys([*self._sentences, *shown]))
        with torch.no_grad():  # the text encoder stays as distilled; its projection learns
            encoded = model.text_encoder.encode(distinct)
        vectors = model.project_text(encoded)
        index = {text: number for number, text in enumerate(distinct)}
        sentences = vectors[[index[text] for text in self._sentences]]
        said = vectors[[index.get(text, 0) for row in batch.phrasings for text in row]]
        B = len(batch)
        return {
            "tokens": model.embed_dense(model.encode_image(batch.images)),
            "findings": batch.findings,
            "tissue": batch.tissue,
            "sentences": sentences.expand(B, *sentences.shape),
            "said": said.view(B, -1, said.shape[1]),
            "scale": scale_rows(model, B),
        }

    def loss(self, rows: Rows) -> dict[str, Tensor]:
        """Return the named terms; their sum is the loss."""
        tokens = rows["tokens"].permute(0, 2, 3, 4, 1).flatten(0, 3)
        labels = self._labels(rows["findings"], rows["tissue"])
        # the same for every sample of the step
        scale, texts = rows["scale"][0], self._texts_of(rows["sentences"][0])
        index, hard = self._select(tokens.detach(), labels, float(scale.detach()), texts)
        tokens, labels = tokens[index], labels.at(index)
        options = self.options
        regions = self._regions(tokens, labels, scale, rows["said"])
        return {
            "grounding": self._grounding(tokens, labels, hard, scale, texts),
            "naming": options.naming_weight * self._naming(tokens, labels, scale, texts),
            "regions": options.region_weight * regions,
        }

    def _texts_of(self, vectors: Tensor) -> _Texts:
        F, phrasings = len(self.vocabulary.findings), self.options.phrasings
        findings, negated, tissues = torch.split(
            vectors, [F * phrasings, F, len(self.vocabulary.tissues)]
        )
        return _Texts(findings.view(F, phrasings, -1), negated, tissues)

    @torch.no_grad()
    def _select(
        self, tokens: Tensor, labels: _Labels, scale: float, texts: _Texts
    ) -> tuple[Tensor, Tensor]:
        """Return tokens that enter the loss, and which of them (F, n) are hard negatives.

        Gradients of all quarter million tokens would cost more than the network itself.
        """
        logits = _scores(tokens, scale, texts, phrasing=0)
        logits.masked_fill_(~labels.negative, -torch.inf)
        count = max(32, int(self.options.hard_share * len(tokens)))
        hardest = torch.topk(logits, count, dim=1).indices
        hard = torch.zeros_like(labels.negative).scatter_(1, hardest, True) & labels.negative
        drawn = torch.from_numpy(self._rng.random(len(tokens), dtype=np.float32)).to(tokens.device)
        keep = (drawn < _SHARE) | hard.any(dim=0)
        for positive in labels.positive:
            keep |= positive & (drawn < _MOST_POSITIVE / max(1, int(positive.sum())))
        index = torch.nonzero(keep).flatten()
        return index, hard[:, index]

    def _finding_texts(self, rng: np.random.Generator) -> list[str]:
        return [
            self.vocabulary.draw(finding, rng)
            for finding in self.vocabulary.findings
            for _ in range(self.options.phrasings)
        ]

    def _negated_texts(self, rng: np.random.Generator) -> list[str]:
        return [self.vocabulary.draw_negated(f, rng) for f in self.vocabulary.findings]

    def _tissue_texts(self, rng: np.random.Generator) -> list[str]:
        """Return one sentence a tissue: the shipped one, another phrasing, or a negated finding."""
        texts = []
        for tissue in self.vocabulary.tissues:
            denied = [f for f in self.vocabulary.findings if f.tissue == tissue.name]
            kind = rng.random()
            if denied and kind < 0.25:
                finding = denied[int(rng.integers(len(denied)))]
                texts.append(self.vocabulary.draw_negated(finding, rng))
            elif kind < 0.6:
                texts.append(tissue.background)
            else:
                texts.append(self.vocabulary.draw(tissue, rng))
        return texts

    def _labels(self, share: Tensor, tissue: Tensor) -> _Labels:
        """Return the truth of all tokens, from shares (B, F, d, h, w) and tissues (B, d, h, w)."""
        small = torch.tensor(
            [f.name in _SMALL for f in self.vocabulary.findings], device=share.device
        )
        enough = torch.where(small, 2, 4).view(1, -1, 1, 1, 1)
        positive = share >= enough
        # a thick slice smears a lesion over its border: a neighbour is neither right nor wrong
        unsure = (share > 0) | _dilated(positive)
        B, _, d, h, w = share.shape
        if d < _WIDE_TOKENS:
            heart = tissue == TISSUES.index("heart")
            for n, finding in enumerate(self.vocabulary.findings):
                if finding.name in _KNOWN_BY_SIZE:
                    positive[:, n] = False
                    unsure[:, n] |= heart
        crop = torch.arange(B, device=share.device).view(B, 1, 1, 1).expand(B, d, h, w)
        return _Labels(
            positive.transpose(0, 1).flatten(1),
            (~unsure).transpose(0, 1).flatten(1),
            tissue.flatten().long(),
            crop.flatten(),
        )

    def _grounding(
        self, tokens: Tensor, labels: _Labels, hard: Tensor, scale: Tensor, texts: _Texts
    ) -> Tensor:
        terms = []
        for phrasing in range(self.options.phrasings):
            logits = _scores(tokens, scale, texts, phrasing=phrasing)
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
        total = loss.new_zeros(len(vectors)).index_add(0, name, loss)
        members = torch.bincount(name, minlength=len(vectors))
        return total[members > 0].div(members[members > 0]).mean()

    def _regions(self, tokens: Tensor, labels: _Labels, scale: Tensor, said: Tensor) -> Tensor:
        """Return the contrast of pooled regions with what is said of them, (B, K, E)."""
        crops, kinds = said.shape[:2]
        names = torch.arange(kinds, device=tokens.device)
        member = torch.cat(  # (K, N)
            [
                labels.positive & labels.alone,
                labels.tissue == names[: kinds - len(labels.positive), None],
            ]
        )
        rows = member.repeat(crops, 1)  # (B * K, N)
        crop_of_row = torch.arange(crops, device=tokens.device).repeat_interleave(kinds)
        rows &= labels.crop[None] == crop_of_row[:, None]
        least = torch.ones_like(names)
        least[len(labels.positive) :] = _LEAST_TISSUE_TOKENS
        filled = torch.nonzero(rows.sum(dim=1) >= least.repeat(crops)).flatten()
        order = torch.from_numpy(self._rng.permutation(len(filled))[:_MOST_ROWS])
        chosen = filled[order.to(filled.device)]
        vectors = functional.normalize(rows[chosen].float() @ tokens, dim=-1)
        name = chosen % kinds
        targets = (name[:, None] == name[None, :]).float()
        return contrastive_loss(vectors @ said.flatten(0, 1)[chosen].T, targets, scale)


def _dilated(mask: Tensor) -> Tensor:
    """Return mask (..., d, h, w) grown by one token along each axis."""
    for axis in (-3, -2, -1):
        n = mask.shape[axis]
        grown = mask.clone()
        grown.narrow(axis, 1, n - 1).logical_or_(mask.narrow(axis, 0, n - 1))
        grown.narrow(axis, 0, n - 1).logical_or_(mask.narrow(axis, 1, n - 1))
        mask = grown
    return mask


def _scores(tokens: Tensor, scale: Tensor | float, texts: _Texts, *, phrasing: int) -> Tensor:
    """Return logits (F, N): the viewer's score times the scale."""
    normal = torch.logsumexp(scale * (texts.tissues @ tokens.T), dim=0)
    denied = scale * (texts.negated @ tokens.T)
    return scale * (texts.findings[:, phrasing] @ tokens.T) - torch.logaddexp(normal[None], denied)


def _row_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Return the mean over rows of each row's weighted mean (F, N); a row without weight is 0."""
    return ((values * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1e-6)).mean()


def _crop_weights(labels: _Labels) -> Tensor:
    """Return weights (F, N) of positive tokens: a crop counts by the root of how many it has."""
    crops = int(labels.crop.max()) + 1
    counts = torch.zeros(len(labels.positive), crops, device=labels.crop.device)
    counts.index_add_(1, labels.crop, labels.positive.float())
    return labels.positive * counts.clamp_min(1).rsqrt()[:, labels.crop]

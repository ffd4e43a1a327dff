"""LocalRegions: a dual encoder whose words look at the significant regions of an image (LRCLR)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_ctclip.core.errors import DataError
from napari_ctclip.models.interface import (
    Calibration,
    EncodingWindows,
    FeatureMap,
    RegionEmbeddings,
)
from napari_ctclip.models.runtime.weights_hash import HashedWeights
from napari_ctclip.models.towers.interaction import word_attention
from napari_ctclip.models.towers.locked_tower import LockedTower3d
from napari_ctclip.models.towers.pooling import masked_mean, masks_to_tokens
from napari_ctclip.models.towers.selection import RegionSelection, SelectedRegions, SelectionMode
from napari_ctclip.models.towers.vit3d import TokenVit3d, TransformerBlock
from napari_ctclip.preprocessing.specification import Preprocessing

__all__ = ["LocalRegions", "SelectionScore"]

SelectionScore = Literal["gate", "attention"]
"""What makes a token significant: a learned gate, or the attention it gets in the encoder."""


class LocalRegions(HashedWeights):
    """Global and word-level similarity in one space; keeps ``VisionLanguageModel``.

    A text is two unit vectors, of the whole and of its words' mean; so is an image, of the whole
    and of its selected regions' mean. The contract's vectors hold both halves, so that a cosine is
    the mean of the global and the local similarity. A dense token has the local half only: its
    cosine with a text says how well the text's words are found there, which is the interpretation
    map. A chest radiograph is an image of one slice, with a patch of one voxel in z.

    Parameters
    ----------
    image_encoder : TokenVit3d or LockedTower3d
        Image to tokens.
    text_encoder : nn.Module
        With ``encode``, ``encode_words`` and ``embedding_width``.
    name : str
        What the user calls it.
    preprocessing : Preprocessing
        What the image encoder was trained on.
    embedding_width : int
        The width of each half; E of the contract is twice that.
    keep : int
        How many regions are selected.
    selection : {"hard", "soft"}
        See ``selection.RegionSelection``.
    score : {"gate", "attention"}
        What makes a token significant; attention is a transformer's.
    background_prompts, suggested_prompts : sequence of str
        As in the contract.
    calibration : Calibration or None
        From region scores to probabilities.

    References
    ----------
    Rizvi et al. 2023 (LRCLR, arXiv 2303.14153); Huang et al. 2021 (GLoRIA), section 3.2. LRCLR's
    code was never published: layers and constants are ours.
    """

    region_readout: Literal["dense", "regions"] = "dense"
    encoding_windows = EncodingWindows(shape=(192, 256, 256), overlap=(32, 32, 32))

    def __init__(
        self,
        image_encoder: TokenVit3d | LockedTower3d,
        text_encoder: Any,
        *,
        name: str,
        preprocessing: Preprocessing,
        embedding_width: int = 256,
        keep: int = 12,
        selection: SelectionMode = "hard",
        score: SelectionScore = "gate",
        background_prompts: Sequence[str] = (),
        suggested_prompts: Sequence[str] = (),
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__()
        if score == "attention" and not isinstance(image_encoder, TokenVit3d):
            raise ValueError("head.score 'attention' needs image.kind 'vit'; take 'gate'")
        self.image_encoder = image_encoder
        self.text_encoder = text_encoder
        width, text_width = image_encoder.width, int(text_encoder.embedding_width)
        self.selection = RegionSelection(width, keep=keep, mode=selection)
        self.summary = TransformerBlock(width, image_encoder.heads, image_encoder.mlp_width, 0.0)
        self.image_projection = nn.Linear(width, embedding_width)
        self.region_projection = nn.Linear(width, embedding_width)
        self.text_projection = nn.Linear(text_width, embedding_width, bias=False)
        self.word_projection = nn.Linear(text_width, embedding_width, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(2.7))
        self.name, self.preprocessing = name, preprocessing
        self.embedding_width, self.score = embedding_width, score
        self.background_prompts = tuple(background_prompts)
        self.suggested_prompts = tuple(suggested_prompts)
        self.calibration = calibration

    @property
    def patch_size(self) -> tuple[int, int, int]:
        """Voxels (z, y, x) behind one token."""
        return self.image_encoder.patch_size

    # --- parts, for training ----------------------------------------------------------------------

    def select(self, features: FeatureMap) -> SelectedRegions:
        """Return the significant tokens of encoded images."""
        tokens, *attention = (level.flatten(2).transpose(1, 2) for level in features.levels)
        return self.selection(tokens, attention[0].squeeze(-1) if attention else None)  # type: ignore[no-any-return]

    def summarise(self, features: FeatureMap, selected: SelectedRegions) -> Tensor:
        """Return (B, embedding_width), unit norm: the whole image, seen with its regions.

        Ours: the mean token takes the place of a class token.
        """
        mean = features.levels[0].flatten(2).mean(dim=2)
        together = torch.cat([mean.unsqueeze(1), selected.tokens], dim=1)
        return functional.normalize(self.image_projection(self.summary(together)[:, 0]), dim=-1)

    def project_regions(self, tokens: Tensor) -> Tensor:
        """Return (B, K, embedding_width), unit norm, of tokens (B, K, C)."""
        return functional.normalize(self.region_projection(tokens), dim=-1)

    def embed_sentences(self, texts: Sequence[str]) -> Tensor:
        """Return (T, embedding_width), unit norm: each text as a whole."""
        return functional.normalize(self.text_projection(self.text_encoder.encode(texts)), dim=-1)

    def embed_words(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return unit vectors (T, L, embedding_width) of words, and which are real (T, L)."""
        states, real = self.text_encoder.encode_words(texts)
        return functional.normalize(self.word_projection(states), dim=-1), real

    def word_maps(self, features: FeatureMap, text: str) -> Tensor:
        """Return (B, L, d, h, w): attention of each word to the selected regions, 0 elsewhere.

        L counts the words between blanks that the text encoder reads; a long text is cut. Each
        word's map, the mean of its tokens', sums to 1; to 0 where it has no letter or digit. A
        word is read in its sentence.

        Raises
        ------
        DataError
            If the text holds nothing that the text encoder reads.
        """
        selected = self.select(features)
        tokens, _ = self.embed_words([text])
        regions = self.project_regions(selected.tokens)
        attention = word_attention(tokens, regions, selected.weights)[:, 0]  # (B, tokens, K)
        owner = torch.tensor(self.text_encoder.words_of_tokens(text), device=attention.device)
        if not (owner >= 0).any():
            raise DataError(f"the model reads no word of “{text}”; ask for a finding in words")
        share = functional.one_hot(owner + 1)[:, 1:].to(attention.dtype)  # (tokens, L)
        share = share / share.sum(dim=0).clamp_min(1)
        words = torch.einsum("bpk,pl->blk", attention, share)
        B, _, *grid = features.levels[0].shape
        L = words.shape[1]
        flat = words.new_zeros(B, L, grid[0] * grid[1] * grid[2])
        indices = selected.indices.unsqueeze(1).expand(-1, L, -1)
        return flat.scatter(2, indices, words).view(B, L, *grid)

    def interpretation_map(self, features: FeatureMap, text: str) -> Tensor:
        """Return (B, d, h, w): the mean of the maps of a text's words; it sums to 1.

        Raises
        ------
        DataError
            If the text holds nothing that the text encoder reads.
        """
        maps = self.word_maps(features, text).sum(dim=1)
        return maps / maps.flatten(1).sum(dim=1)[:, None, None, None]

    # --- the contract -----------------------------------------------------------------------------

    def encode_image(self, image: Tensor) -> FeatureMap:
        """Return the token map of images (B, C, D, H, W), and their attention where it selects."""
        encoder = self.image_encoder
        if self.score == "attention" and isinstance(encoder, TokenVit3d):
            return FeatureMap(encoder.attended(image))
        return FeatureMap((self.image_encoder(image),))

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Return (T, E), unit norm: the whole and the mean of its words."""
        words, real = self.embed_words(texts)
        mean = (words * real.unsqueeze(-1)).sum(dim=1)
        return _joined(self.embed_sentences(texts), functional.normalize(mean, dim=-1))

    def embed_global(self, features: FeatureMap) -> Tensor:
        """Return (B, E), unit norm: the whole and the mean of its selected regions."""
        selected = self.select(features)
        regions = self.project_regions(selected.tokens) * selected.weights.unsqueeze(-1)
        local = functional.normalize(regions.sum(dim=1), dim=-1)
        return _joined(self.summarise(features, selected), local)

    def embed_dense(self, features: FeatureMap, anatomy: str | None = None) -> Tensor:
        """Return (B, E, d, h, w), unit norm along E: every token as the region it would be."""
        tokens = features.levels[0]
        local = self.project_regions(tokens.flatten(2).transpose(1, 2)).transpose(1, 2)
        dense = torch.cat([torch.zeros_like(local), local], dim=1)
        return dense.view(*dense.shape[:2], *tokens.shape[2:])

    def embed_regions(self, features: FeatureMap, masks: Tensor) -> RegionEmbeddings:
        """Return the mean dense token of each of the masks (B, R, D, H, W) bool."""
        members = masks_to_tokens(masks, self.patch_size)
        return RegionEmbeddings(*masked_mean(self.embed_dense(features), members))


def _joined(whole: Tensor, local: Tensor) -> Tensor:
    return torch.cat([whole, local], dim=-1) / math.sqrt(2.0)

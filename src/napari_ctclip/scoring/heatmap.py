"""Heatmaps: ask an encoded scan for a prompt, in milliseconds."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.models.interface import VisionLanguageModel
from napari_ctclip.scoring.encoding import EncodedScan
from napari_ctclip.scoring.similarity import background_similarity, contrast

__all__ = ["TokenIndex"]


class TokenIndex:
    """Text-comparable embeddings of every token of a scan, ready for prompts.

    What no prompt changes (the dense embeddings, the similarity to normal anatomy) is computed
    once here; a prompt then costs two text embeddings and one product with N x E numbers.

    Parameters
    ----------
    model : VisionLanguageModel
        The model that encoded the scan.
    scan : EncodedScan
        What it gave.
    """

    @torch.inference_mode()
    def __init__(self, model: VisionLanguageModel, scan: EncodedScan) -> None:
        self._model = model
        self.scan = scan
        self.scale = float(model.logit_scale.exp())
        dense = model.embed_dense(scan.features)[0].float()
        self._tokens = dense.flatten(1).T.contiguous()  # (N, E): one token is one cache line
        self._outside = torch.from_numpy(~scan.inside.ravel())
        self._background: Tensor | None = None
        if model.background_prompts:
            normal = model.embed_text(model.background_prompts).float()
            self._background = background_similarity(self._tokens, normal, self.scale)

    @torch.inference_mode()
    def similarity_map(self, prompt: Prompt) -> SimilarityMap:
        """Return where the scan answers to the prompt, on the token grid."""
        texts = self._model.embed_text([prompt.positive, prompt.negative]).float()
        cosines = self._tokens @ texts.T.to(self._tokens.device)
        values = contrast(cosines[:, 0], self._held_against(cosines[:, 1]))
        flat = values.cpu().masked_fill_(self._outside, torch.nan)
        grid = np.asarray(flat.numpy().reshape(self.scan.token_geometry.shape), dtype=np.float32)
        return SimilarityMap(grid, self.scan.token_geometry, prompt)

    @torch.inference_mode()
    def similarity_at(self, token: int, prompts: list[Prompt]) -> list[float]:
        """Return the similarity of several prompts at one token (flat index)."""
        if not prompts:
            return []
        texts = [text for p in prompts for text in (p.positive, p.negative)]
        cosines = self._model.embed_text(texts).float().to(self._tokens.device)
        positive, negative = (cosines @ self._tokens[token]).view(-1, 2).unbind(dim=1)
        background = None if self._background is None else self._background[token]
        return [float(v) for v in contrast(positive, self._smooth_maximum(negative, background))]

    def _held_against(self, negative: Tensor) -> Tensor:
        return self._smooth_maximum(negative, self._background)

    def _smooth_maximum(self, negative: Tensor, background: Tensor | None) -> Tensor:
        if background is None:
            return negative
        return torch.logaddexp(self.scale * negative, self.scale * background) / self.scale

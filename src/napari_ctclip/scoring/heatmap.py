"""Heatmaps: ask an encoded scan for a prompt, in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence

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
    anatomy : str, optional
        For models that read tokens differently for each anatomy.
    """

    @torch.inference_mode()
    def __init__(
        self, model: VisionLanguageModel, scan: EncodedScan, *, anatomy: str | None = None
    ) -> None:
        self._model = model
        self.scan = scan
        self.scale = float(model.logit_scale.exp())
        dense = model.embed_dense(scan.features, anatomy)[0].float().flatten(1)
        self._inside = np.flatnonzero(scan.inside)
        # (E, n), only tokens that can answer: a prompt's cost is reading this array once
        self._tokens = dense[:, torch.from_numpy(self._inside).to(dense.device)].contiguous()
        self._background: Tensor | None = None
        if model.background_prompts:
            normal = model.embed_text(model.background_prompts).float().to(dense.device)
            self._background = background_similarity(self._tokens, normal, self.scale)

    @torch.inference_mode()
    def similarity_map(self, prompt: Prompt) -> SimilarityMap:
        """Return where the scan answers to the prompt, on the token grid."""
        texts = self._model.embed_text([prompt.positive, prompt.negative]).float()
        positive, negative = texts.to(self._tokens.device) @ self._tokens
        found = contrast(positive, self._held_against(negative, self._background))
        values = np.full(self.scan.token_geometry.shape, np.nan, dtype=np.float32)
        values.ravel()[self._inside] = found.cpu().numpy()
        return SimilarityMap(values, self.scan.token_geometry, prompt)

    @torch.inference_mode()
    def similarity_at(self, token: int, prompts: Sequence[Prompt]) -> list[float]:
        """Return each prompt's similarity at one token (flat index); empty outside the body."""
        place = int(np.searchsorted(self._inside, token))
        outside = place == len(self._inside) or self._inside[place] != token
        if outside or not prompts:
            return []
        texts = [text for p in prompts for text in (p.positive, p.negative)]
        vector = self._tokens[:, place]
        cosines = self._model.embed_text(texts).float().to(vector.device) @ vector
        background = None if self._background is None else self._background[place]
        held_against = self._held_against(cosines[1::2], background)
        return [float(v) for v in contrast(cosines[0::2], held_against)]

    def _held_against(self, negative: Tensor, background: Tensor | None) -> Tensor:
        """Return the smooth maximum of the prompt's own negative and normal anatomy."""
        if background is None:
            return negative
        return torch.logaddexp(self.scale * negative, self.scale * background) / self.scale

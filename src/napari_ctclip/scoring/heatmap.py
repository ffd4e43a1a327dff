"""Heatmap: ask the tokens of an encoded scan for a prompt, in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from napari_ctclip.core.anatomy import anatomy_in_text
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.encoding.encoding import EncodedScan
from napari_ctclip.models.interface import AnatomyModel, VisionLanguageModel
from napari_ctclip.scoring.patch_scores import PatchPrompts, prompt_scores
from napari_ctclip.scoring.prompt_ensemble import embed_prompts
from napari_ctclip.scoring.similarity import background_similarity, contrast

__all__ = ["AnatomyTokenIndex", "TokenIndex", "queried_anatomy"]

_SPOKEN_OF_WITH = {"thoracic_cavity": "lung"}
"""Reports that are decomposed by organ describe the pleura with the lung."""


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
        The anatomy, for models that read tokens differently for each.
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
        texts = embed_prompts(self._model, [prompt])[0].float()
        positive, negative = texts.to(self._tokens.device) @ self._tokens
        found = contrast(positive, self._held_against(negative, self._background))
        return SimilarityMap(self._on_grid(found), self.scan.token_geometry, prompt)

    @torch.inference_mode()
    def scores(self, prompts: PatchPrompts) -> npt.NDArray[np.float32]:
        """Return how a montage's prompts rank every token (d, h, w); NaN outside the body."""
        return self._on_grid(prompt_scores(self._model, self._tokens.T, prompts))

    @torch.inference_mode()
    def similarities_at(
        self, tokens: npt.NDArray[np.intp], prompts: Sequence[Prompt]
    ) -> npt.NDArray[np.float32]:
        """Return each prompt's similarity (P, K) at K tokens (flat indices); NaN outside the body.

        Parameters
        ----------
        tokens : ndarray, shape (K,)
            The flat indices on the token grid.
        prompts : sequence of Prompt
            The prompts, P of them.
        """
        found = np.full((len(prompts), len(tokens)), np.nan, dtype=np.float32)
        positions, known = self._positions_of(tokens)
        if not len(prompts) or not known.any():
            return found
        chosen = torch.from_numpy(positions[known]).to(self._tokens.device)
        texts = embed_prompts(self._model, prompts).flatten(0, 1).float()
        cosines = texts.to(self._tokens.device) @ self._tokens[:, chosen]
        background = None if self._background is None else self._background[chosen]
        held_against = self._held_against(cosines[1::2], background)
        found[:, known] = contrast(cosines[0::2], held_against).cpu().numpy()
        return found

    @torch.inference_mode()
    def embedding_of(self, tokens: npt.NDArray[np.intp]) -> Tensor | None:
        """Return the unit mean vector (E,) of tokens (flat indices); None if none can answer."""
        positions, known = self._positions_of(tokens)
        if not known.any():
            return None
        chosen = torch.from_numpy(positions[known]).to(self._tokens.device)
        return functional.normalize(self._tokens[:, chosen].mean(dim=1), dim=0)

    @torch.inference_mode()
    def cosines_to(self, vector: Tensor) -> npt.NDArray[np.float32]:
        """Return every token's cosine (d, h, w) to a unit vector (E,); NaN outside the body."""
        return self._on_grid(vector.to(self._tokens.device) @ self._tokens)

    def _on_grid(self, found: Tensor) -> npt.NDArray[np.float32]:
        """Return what was found at the tokens that can answer (n,), on the grid (d, h, w)."""
        values = np.full(self.scan.token_geometry.shape, np.nan, dtype=np.float32)
        values.ravel()[self._inside] = found.cpu().numpy()
        return values

    def _positions_of(
        self, tokens: npt.NDArray[np.intp]
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        """Return where tokens stand among those that can answer, and which of them can."""
        if not len(self._inside):
            return np.zeros(len(tokens), dtype=np.intp), np.zeros(len(tokens), dtype=bool)
        positions = np.minimum(np.searchsorted(self._inside, tokens), len(self._inside) - 1)
        return positions, self._inside[positions] == tokens

    def _held_against(self, negative: Tensor, background: Tensor | None) -> Tensor:
        """Return the smooth maximum of the prompt's own negative and normal anatomy."""
        if background is None:
            return negative
        return torch.logaddexp(self.scale * negative, self.scale * background) / self.scale


def queried_anatomy(prompt: Prompt, anatomies: Sequence[str]) -> str:
    """Return the one of ``anatomies`` that a prompt names or implies; "" if none."""
    wanted = prompt.anatomy or anatomy_in_text(prompt.positive)
    if wanted not in anatomies:
        wanted = _SPOKEN_OF_WITH.get(wanted, "")
    return wanted if wanted in anatomies else ""


class AnatomyTokenIndex(TokenIndex):
    """One token index an anatomy, made when a prompt first asks for it.

    Parameters
    ----------
    model : AnatomyModel
        The model that encoded the scan.
    scan : EncodedScan
        What it gave.
    """

    def __init__(self, model: AnatomyModel, scan: EncodedScan) -> None:
        super().__init__(model, scan)
        self._anatomies = model.anatomies
        self._of: dict[str, TokenIndex] = {}

    def similarity_map(self, prompt: Prompt) -> SimilarityMap:
        """Return where the scan answers to the prompt, read out for the prompt's anatomy."""
        index = self._index_for(prompt)
        return super().similarity_map(prompt) if index is None else index.similarity_map(prompt)

    def similarities_at(
        self, tokens: npt.NDArray[np.intp], prompts: Sequence[Prompt]
    ) -> npt.NDArray[np.float32]:
        """Return each prompt's similarity (P, K) at K tokens; NaN outside the body."""
        found = np.full((len(prompts), len(tokens)), np.nan, dtype=np.float32)
        rows: dict[TokenIndex | None, list[int]] = {}
        for row, prompt in enumerate(prompts):
            rows.setdefault(self._index_for(prompt), []).append(row)
        for index, own in rows.items():
            ask = super().similarities_at if index is None else index.similarities_at
            found[own] = ask(tokens, [prompts[row] for row in own])
        return found

    def _index_for(self, prompt: Prompt) -> TokenIndex | None:
        """Return the index of the prompt's anatomy; None if the model has no query for it."""
        anatomy = queried_anatomy(prompt, self._anatomies)
        if not anatomy:
            return None
        if anatomy not in self._of:
            self._of[anatomy] = TokenIndex(self._model, self.scan, anatomy=anatomy)
        return self._of[anatomy]

"""Token index of a model whose heatmap depends on the anatomy that a prompt is about."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.anatomy_terms import anatomy_in_text
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.encoding.encoding import EncodedScan
from napari_ctclip.models.published.crop_protocol import AnatomyModel
from napari_ctclip.scoring.heatmap import TokenIndex

__all__ = ["AnatomyTokenIndex", "queried_anatomy"]

_SPOKEN_OF_WITH = {"thoracic_cavity": "lung"}
"""Reports taken apart by organ tell of the pleura with the lung."""


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

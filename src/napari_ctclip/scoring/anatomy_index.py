"""Token index of a model whose heatmap depends on the anatomy the prompt speaks of."""

from __future__ import annotations

from collections.abc import Sequence

from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.models.crop_protocol import AnatomyModel
from napari_ctclip.scoring.asked_anatomy import asked_anatomy
from napari_ctclip.scoring.encoding import EncodedScan
from napari_ctclip.scoring.heatmap import TokenIndex

__all__ = ["AnatomyTokenIndex"]


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

    def similarity_at(self, token: int, prompts: Sequence[Prompt]) -> list[float]:
        """Return each prompt's similarity at one token (flat index); empty outside the body."""
        values: list[float] = []
        for prompt in prompts:
            index = self._index_for(prompt)
            ask = super().similarity_at if index is None else index.similarity_at
            values += ask(token, [prompt])
        return values

    def _index_for(self, prompt: Prompt) -> TokenIndex | None:
        """Return the index of the prompt's anatomy; None if the model has no query for it."""
        anatomy = asked_anatomy(prompt, self._anatomies)
        if not anatomy:
            return None
        if anatomy not in self._of:
            self._of[anatomy] = TokenIndex(self._model, self.scan, anatomy=anatomy)
        return self._of[anatomy]

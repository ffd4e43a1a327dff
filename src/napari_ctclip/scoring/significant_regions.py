"""Significant regions: where a model that selects regions looked, and what a text found there."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.prompt import Phrase, Prompt
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.encoding.encoding import EncodedScan
from napari_ctclip.models.interface import FeatureMap, VisionLanguageModel
from napari_ctclip.models.towers.selection import SelectedRegions

__all__ = [
    "SELECTED",
    "SelectingModel",
    "attention_map",
    "even_share",
    "interaction_map",
    "selecting_model",
    "selection_map",
]

SELECTED = Prompt("regions the model selects")
"""What a map of the selection stands under: no text was asked."""


class SelectingModel(VisionLanguageModel, Protocol):
    """A model that answers from a few significant regions, as LRCLR does."""

    def select(self, features: FeatureMap) -> SelectedRegions:
        """Return the significant tokens of encoded images."""
        ...

    def word_maps(self, features: FeatureMap, text: str) -> Tensor:
        """Return (B, L, d, h, w): attention of each word to the selected regions."""
        ...

    def interpretation_map(self, features: FeatureMap, text: str) -> Tensor:
        """Return (B, d, h, w): the mean of the maps of a text's words."""
        ...


def selecting_model(model: VisionLanguageModel | None) -> SelectingModel | None:
    """Return the model if it selects regions, else None."""
    if not hasattr(model, "select") or not hasattr(model, "word_maps"):
        return None
    selecting: SelectingModel = model  # type: ignore[assignment]
    return selecting


@torch.inference_mode()
def selection_map(model: SelectingModel, scan: EncodedScan) -> SimilarityMap:
    """Return how much each token of a scan counts among the selected regions, 0 where not at all.

    References
    ----------
    Rizvi et al. 2023 (LRCLR, arXiv 2303.14153): significant region selection.
    """
    selected = model.select(scan.features)
    values = np.zeros(scan.token_geometry.shape, dtype=np.float32)
    places = selected.indices[0].cpu().numpy()
    values.reshape(-1)[places] = selected.weights[0].float().cpu().numpy()
    return SimilarityMap(values, scan.token_geometry, SELECTED)


@torch.inference_mode()
def interaction_map(model: SelectingModel, scan: EncodedScan, prompt: Prompt) -> SimilarityMap:
    """Return the attention of a prompt's words to each selected region; 0 elsewhere, sum 1.

    References
    ----------
    Rizvi et al. 2023 (LRCLR, arXiv 2303.14153): cross-modality interaction; Huang et al. 2021
    (GLoRIA), section 3.2.
    """
    attention = model.interpretation_map(scan.features, prompt.positive)[0]
    return SimilarityMap(attention.float().cpu().numpy(), scan.token_geometry, prompt)


@torch.inference_mode()
def attention_map(model: SelectingModel, scan: EncodedScan, phrase: Phrase) -> SimilarityMap:
    """Return the attention of chosen words to each selected region; 0 elsewhere, sum 1.

    Several words are the mean of their maps.

    Raises
    ------
    DataError
        If the model reads none of the words, or not so far into the text.

    References
    ----------
    Rizvi et al. 2023 (LRCLR, arXiv 2303.14153): cross-modality interaction; Huang et al. 2021
    (GLoRIA), section 3.2.
    """
    maps = model.word_maps(scan.features, phrase.text)[0]
    if phrase.chosen[-1] >= len(maps):
        raise DataError(
            f"the model reads the first {len(maps)} of {len(phrase.words)} words of this text; "
            "choose among those, or ask a shorter text"
        )
    found = maps[list(phrase.chosen)].sum(dim=0).float()
    if not found.any():
        raise DataError(f"“{phrase.said}” has neither letters nor digits; choose a word")
    values = (found / found.sum()).cpu().numpy()
    return SimilarityMap(values, scan.token_geometry, Prompt(phrase.text))


@torch.inference_mode()
def even_share(model: SelectingModel, scan: EncodedScan) -> float:
    """Return the attention that a region of full weight has from a word that prefers none."""
    return 1.0 / float(model.select(scan.features).weights[0].sum())

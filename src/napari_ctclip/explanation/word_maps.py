"""Word maps: where chosen words of a text look, or what its map loses without them."""

from __future__ import annotations

from dataclasses import replace

import torch

from napari_ctclip.core.anatomy_terms import anatomy_in_text
from napari_ctclip.core.errors import DataError
from napari_ctclip.core.phrase import Phrase
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.encoding.encoding import EncodedScan
from napari_ctclip.scoring.significant_regions import SelectingModel

__all__ = ["attention_map", "even_share", "without_words"]


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


def without_words(prompt: Prompt, phrase: Phrase) -> Prompt:
    """Return a prompt without chosen words, held against the same negative, of the same organ.

    The difference of the two maps is the words' part (leave some out): all else cancels.

    Raises
    ------
    DataError
        If no other word is left.
    """
    if not phrase.rest:
        raise DataError(
            f"without “{phrase.said}” nothing is left of the text to compare with; leave at least "
            "one word out of the choice, or ask the words as a prompt"
        )
    return replace(
        prompt, positive=phrase.rest, anatomy=prompt.anatomy or anatomy_in_text(prompt.positive)
    )

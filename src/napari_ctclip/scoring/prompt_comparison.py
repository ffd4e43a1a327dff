"""Prompt comparison: two prompts of one scan as one map, and a prompt without some words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_ctclip.core.anatomy_terms import anatomy_in_text
from napari_ctclip.core.errors import DataError, GeometryMismatch
from napari_ctclip.core.phrase import Phrase
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.scoring.answer import Answer

__all__ = ["difference_map", "symmetric_limit", "without_words"]

_PERCENTILE = 99.5  # Ours: one odd token must not wash out the colours of all others


def difference_map(first: Answer, second: Answer) -> SimilarityMap:
    """Return where the first prompt answers more (positive) or the second (negative).

    Raises
    ------
    GeometryMismatch
        If they are not answers of one encoded scan.
    """
    a, b = first.similarity_map, second.similarity_map
    if a.values.shape != b.values.shape or not np.allclose(a.geometry.affine, b.geometry.affine):
        raise GeometryMismatch("the two prompts were asked of different scans; ask both again")
    prompt = Prompt(first.prompt.positive, second.prompt.positive)
    return SimilarityMap(a.values - b.values, a.geometry, prompt)


def symmetric_limit(difference: SimilarityMap) -> float:
    """Return the half width of a diverging colour scale about 0; never 0."""
    finite = np.abs(difference.values[np.isfinite(difference.values)])
    return max(float(np.percentile(finite, _PERCENTILE)), 1e-4) if finite.size else 1e-4


def without_words(prompt: Prompt, phrase: Phrase) -> Prompt:
    """Return a prompt without chosen words, contrasted with the same negative, of the same organ.

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

"""Prompt comparison: two prompts of one scan as one map."""

from __future__ import annotations

import numpy as np

from napari_ctclip.core.errors import GeometryMismatch
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.scoring.answer import Answer

__all__ = ["difference_map", "symmetric_limit"]

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

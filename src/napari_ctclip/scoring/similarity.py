"""Similarity: from embeddings to one number for each token.

Three words for three things: *cosine* (or similarity) of unit vectors, *logit* (cosine times the
model's scale), *probability* (softmax or calibrated).
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["background_similarity", "contrast", "softmax_probability"]


def background_similarity(tokens: Tensor, negatives: Tensor, scale: float) -> Tensor:
    """Return the smooth maximum (N,) of the negatives' cosines: ``log(sum_m exp(s c_m)) / s``.

    Parameters
    ----------
    tokens : Tensor (E, N)
        The unit-norm embeddings of N tokens, one a column.
    negatives : Tensor (M, E)
        The unit-norm embeddings of the negative prompts.
    scale : float
        The model's factor on a cosine (``exp(logit_scale)``).
    """
    return torch.logsumexp(scale * (negatives @ tokens), dim=0) / scale


def contrast(positive: Tensor, background: Tensor) -> Tensor:
    """Return the similarity of a prompt: its cosine (N,) less that of what it is contrasted with.

    Times the scale it is the logit of the softmax between the prompt and all negatives, the
    two-prompt softmax of CLIP's zero-shot rule (Radford et al. 2021, section 3.1) when there is
    one negative.
    """
    return positive - background


def softmax_probability(similarity: Tensor, scale: float) -> Tensor:
    """Return softmax(positive, negatives)[positive] of a :func:`contrast`."""
    return torch.sigmoid(scale * similarity)

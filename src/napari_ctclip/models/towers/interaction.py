"""Interaction: every word of a text looks at the regions of an image."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["local_similarity", "word_attention"]


def word_attention(
    words: Tensor, regions: Tensor, weights: Tensor, *, sharpness: float = 4.0
) -> Tensor:
    """Return how much each word looks at each region (B, T, L, K); sums to 1 over regions.

    ``alpha_wr = softmax_r(sharpness * cos(w, r) + log weight_r)``.

    Parameters
    ----------
    words : Tensor (T, L, E)
        Unit vectors of the words of T texts.
    regions : Tensor (B, K, E)
        Unit vectors of the regions of B images.
    weights : Tensor (B, K)
        How much each region counts, 0..1.
    sharpness : float
        The factor of the softmax; 4 is GLoRIA's ``temp1``.

    References
    ----------
    Huang et al. 2021 (GLoRIA), section 3.2; Rizvi et al. 2023 (LRCLR, arXiv 2303.14153). Ours: a
    region's weight joins its attention; cosine instead of a scaled product.
    """
    scores = sharpness * torch.einsum("tle,bke->btlk", words, regions)
    return (scores + weights.clamp_min(1e-6).log()[:, None, None, :]).softmax(dim=-1)


def local_similarity(
    words: Tensor,
    real: Tensor,
    regions: Tensor,
    weights: Tensor,
    *,
    sharpness: float = 4.0,
    emphasis: float = 5.0,
) -> Tensor:
    """Return (B, T) in -1..1: how well the words of each text are found among an image's regions.

    ``(1 / emphasis) log mean_w exp(emphasis * cos(w, c_w))`` with ``c_w = sum_r alpha_wr r``.

    Parameters
    ----------
    words, regions, weights, sharpness
        As :func:`word_attention`.
    real : Tensor (T, L) bool
        Which words are no padding; at least one a text.
    emphasis : float
        The higher, the more the best-found words decide; 5 is GLoRIA's ``temp2``.

    References
    ----------
    Huang et al. 2021 (GLoRIA), section 3.2, equations 3 to 5. Ours: the mean instead of the sum
    over words, so that long texts are not nearer to everything.
    """
    alpha = word_attention(words, regions, weights, sharpness=sharpness)
    context = torch.einsum("btlk,bke->btle", alpha, regions)
    found = functional.cosine_similarity(words[None], context, dim=-1)  # (B, T, L)
    exponent = (emphasis * found).masked_fill(~real[None], -torch.inf)
    count = real.sum(dim=1).to(found.dtype)
    return (torch.logsumexp(exponent, dim=-1) - count.log()) / emphasis

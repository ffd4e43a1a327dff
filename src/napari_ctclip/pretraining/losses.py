"""The one contrastive loss: soft targets, groups and extra negatives; and its sigmoid sister."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["Reduction", "contrastive_loss", "sigmoid_loss"]

Reduction = Literal["mean", "group_sum"]


def contrastive_loss(
    similarity: Tensor,
    targets: Tensor,
    scale: Tensor | float,
    *,
    group: Tensor | None = None,
    negatives: Tensor | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    """Return the symmetric soft cross-entropy between images (rows) and texts (columns).

    ``1/2 [CE(s S, Y) + CE(s S', Y')]`` with ``CE = -sum_j Y_ij log softmax_j``, over rows that
    compete only inside their group. Identity targets give CLIP's loss.

    Parameters
    ----------
    similarity : Tensor (N, N)
        Cosines of image i and text j.
    targets : Tensor (N, N)
        Non-negative weights of who belongs to whom; each row is normalised to sum 1 within its
        group, in both directions. A row without any target adds nothing.
    scale : Tensor or float
        Factor on the cosines (``exp(logit_scale)``).
    group : Tensor (N,), optional
        Rows with different numbers do not compete; one group when absent.
    negatives : Tensor (N, M), optional
        Cosines of image i with extra texts that are nobody's positives: they join the image to text
        direction only; ``-inf`` means none.
    reduction : {"mean", "group_sum"}
        Average over rows, or the sum over groups of the average within each.

    Raises
    ------
    ValueError
        If the shapes do not fit together.

    References
    ----------
    Radford et al. 2021 (CLIP), figure 3; Shui et al. 2025 (fVLM), section 3.3 (soft targets, the
    sum over anatomies).
    """
    N = similarity.shape[0]
    if similarity.shape != (N, N) or targets.shape != (N, N):
        raise ValueError(
            f"expected similarity and targets of one shape (N, N), "
            f"got {tuple(similarity.shape)} and {tuple(targets.shape)}"
        )
    if negatives is not None and (negatives.ndim != 2 or negatives.shape[0] != N):
        raise ValueError(f"expected negatives ({N}, M), got {tuple(negatives.shape)}")
    group = torch.zeros(N, dtype=torch.long, device=similarity.device) if group is None else group
    same = group[:, None] == group[None, :]
    logits = (scale * similarity).masked_fill(~same, -torch.inf)
    targets = targets * same
    extra = None if negatives is None else _scaled(negatives, scale)
    rows = _soft_cross_entropy(logits, targets, extra) + _soft_cross_entropy(logits.T, targets.T)
    rows = rows / 2
    if reduction == "mean":
        return rows.mean()
    members = same.sum(dim=1).to(rows.dtype)
    return (rows / members).sum()


def sigmoid_loss(
    similarity: Tensor, targets: Tensor, scale: Tensor | float, *, bias: Tensor | float
) -> Tensor:
    """Return the mean over images of the summed binary cross-entropy of their texts.

    Parameters
    ----------
    similarity : Tensor (N, N)
        Cosines of image i and text j.
    targets : Tensor (N, N)
        1 for a pair that belongs together, 0 for one that does not.
    scale, bias : Tensor or float
        The logit of a pair is ``scale * similarity + bias``.

    References
    ----------
    Zhai et al. 2023 (SigLIP), section 3.2, algorithm 1.
    """
    logits = scale * similarity + bias
    return functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum") / len(
        similarity
    )


def _scaled(negatives: Tensor, scale: Tensor | float) -> Tensor:
    """Return the product, -inf staying: plainly, the scale's gradient there would be 0 * -inf."""
    none = negatives == -torch.inf
    return (scale * negatives.masked_fill(none, 0.0)).masked_fill(none, -torch.inf)


def _soft_cross_entropy(logits: Tensor, targets: Tensor, extra: Tensor | None = None) -> Tensor:
    """Return one value a row; entries at -inf compete with nothing."""
    weights = targets / targets.sum(dim=1, keepdim=True).clamp_min(1e-12)
    joined = logits if extra is None else torch.cat([logits, extra], dim=1)
    log_probability = logits - torch.logsumexp(joined, dim=1, keepdim=True)
    # masked before the product: 0 * -inf would be NaN
    return -(weights * log_probability.masked_fill(weights <= 0, 0.0)).sum(dim=1)

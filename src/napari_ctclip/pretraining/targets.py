"""Targets: which samples are positives of each other."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

__all__ = ["PairCalibration", "anatomy_targets", "momentum_targets", "partner_targets"]

PairCalibration = Literal["none", "normal-pairs"]
"""How false negatives are corrected: not at all, or by pairing what is normal or phrased alike."""


def anatomy_targets(
    phrasing: Tensor,
    normal: Tensor,
    *,
    anatomy: Tensor,
    calibration: PairCalibration = "normal-pairs",
) -> Tensor:
    """Return weights (N, N), 0 or 1: row i's positives among the samples of its anatomy.

    Parameters
    ----------
    phrasing : Tensor (N,) int
        Equal for samples of which the very same is said.
    normal : Tensor (N,) bool
        Whether the sample is normal.
    anatomy : Tensor (N,) int
        Samples of different anatomies are never a pair.
    calibration : {"none", "normal-pairs"}
        With ``"none"`` each is its own only positive; with ``"normal-pairs"`` so are two normal
        samples, and two of exactly the same text.

    References
    ----------
    Shui et al. 2025 (arXiv 2501.14548), section 3, on false negatives among normal samples; equal
    texts as in its CT-RATE release.
    """
    positive = torch.eye(len(phrasing), dtype=torch.bool, device=normal.device)
    if calibration == "normal-pairs":
        positive |= normal[:, None] & normal[None, :]
        positive |= phrasing[:, None] == phrasing[None, :]
    return (positive & (anatomy[:, None] == anatomy[None, :])).float()


def partner_targets(
    hard: Tensor,
    partner_logits: Tensor,
    *,
    normal: Tensor,
    anatomy: Tensor,
    partner_share: float = 0.5,
) -> Tensor:
    """Return soft targets (N, N): what is known, mixed with what a second model finds alike.

    ``(1 - a) Y + a P``, rows of both summing to 1; P is the softmax of the partner's logits over
    the row itself and, for an abnormal row, the abnormal samples of its anatomy.

    Parameters
    ----------
    hard : Tensor (N, N)
        Y before normalisation, of :func:`anatomy_targets`.
    partner_logits : Tensor (N, N)
        The partner's scaled similarity of image i and text j; no gradient passes.
    normal : Tensor (N,) bool
        Whether the sample is normal.
    anatomy : Tensor (N,) int
        As in :func:`anatomy_targets`.
    partner_share : float
        a; 0.5 is what a digest of the paper reports.

    References
    ----------
    Shui et al. 2025 (arXiv 2501.14548), section 3, on false negatives among abnormal samples. Ours:
    which similarity is used and where it is allowed; the release has no co-teaching.
    """
    allowed = ~normal[:, None] & ~normal[None, :] & (anatomy[:, None] == anatomy[None, :])
    allowed |= torch.eye(len(hard), dtype=torch.bool, device=hard.device)
    partner = partner_logits.detach().masked_fill(~allowed, -torch.inf).softmax(dim=1)
    known = hard / hard.sum(dim=1, keepdim=True)
    return (1 - partner_share) * known + partner_share * partner


def momentum_targets(
    hard: Tensor, text_logits: Tensor, *, normal: Tensor, anatomy: Tensor
) -> Tensor:
    """Return soft targets (N, N): abnormal pairs weigh as much as their texts are alike.

    Off the diagonal ``Y_ij + [i and j abnormal] softmax_j(t_i . t_j / tau)`` within an anatomy; the
    diagonal stays 1.

    Parameters
    ----------
    hard : Tensor (N, N)
        Y, of :func:`anatomy_targets`.
    text_logits : Tensor (N, N)
        Scaled similarity of texts i and j in a slowly moving copy of the text encoder.
    normal : Tensor (N,) bool
        Whether the sample is normal.
    anatomy : Tensor (N,) int
        As in :func:`anatomy_targets`.

    References
    ----------
    The form is that of the released successor of fVLM, DAMO-RADAR (2026).
    """
    same = anatomy[:, None] == anatomy[None, :]
    alike = text_logits.detach().masked_fill(~same, -torch.inf).softmax(dim=1)
    abnormal = ~normal[:, None] & ~normal[None, :] & same
    soft = hard + abnormal * alike
    eye = torch.eye(len(hard), dtype=torch.bool, device=hard.device)
    return torch.where(eye, torch.ones_like(soft), soft)

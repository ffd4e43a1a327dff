"""Targets: who is a positive of whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

__all__ = ["PairCalibration", "anatomy_targets"]

PairCalibration = Literal["none", "normal-pairs"]
"""How false negatives are mended: not at all, or by pairing what is normal or worded alike."""


def anatomy_targets(
    texts: Sequence[str],
    normal: Tensor,
    *,
    anatomy: Tensor,
    calibration: PairCalibration = "normal-pairs",
) -> Tensor:
    """Return weights (N, N), 0 or 1: row i's positives among the samples of its anatomy.

    Parameters
    ----------
    texts : sequence of str, N of them
        What is said of each sample.
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
    positive = torch.eye(len(texts), dtype=torch.bool, device=normal.device)
    if calibration == "normal-pairs":
        numbers = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        wording = torch.tensor([numbers[text] for text in texts], device=normal.device)
        positive |= normal[:, None] & normal[None, :]
        positive |= wording[:, None] == wording[None, :]
    return (positive & (anatomy[:, None] == anatomy[None, :])).float()

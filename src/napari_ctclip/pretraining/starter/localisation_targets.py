"""Localisation targets: what every token of a picture shows, beside the picture as a whole."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from napari_ctclip.pretraining.starter.patch_pool import PATCH_FINDINGS
from napari_ctclip.pretraining.starter.token_targets import TISSUES

__all__ = ["CELLS", "cell_shares", "seen_at_tokens"]

CELLS = 12
"""Cells along a side of a picture: 5-6 mm of a patch of the viewer; montages of 2 and 3 tiles a
side divide it."""

_FILLED, _UNTOUCHED = 0.25, 0.01
"""Ours: share of a cell from which a finding is there (a nodule of 4 mm in a patch of 67 mm), and
below which it is not."""

_TISSUE_SEEN, _TISSUE_NOT = 0.5, 0.05
_LUNG, _VESSEL = TISSUES.index("lung"), TISSUES.index("vessel")
_UNDECIDED = TISSUES.index("mediastinum")  # no simulation says where it is

_VESSEL_HU = -600
"""Ours: in healthy lung what is denser is vessel, or the wall of a bronchus."""


def cell_shares(
    hounsfield: npt.NDArray[np.int16],
    bits: npt.NDArray[np.uint16],
    tissue: npt.NDArray[np.uint8],
    cells: tuple[int, int],
) -> Tensor:
    """Return the share (K, h, w) of each cell that findings, then tissues, of a crop fill.

    Vessels are a part of the lung.

    Parameters
    ----------
    hounsfield : ndarray, shape (H, W)
        Before kernel and noise.
    bits : ndarray, shape (H, W)
        Bit i is set where ``PATCH_FINDINGS[i]`` is.
    tissue : ndarray, shape (H, W)
        Index into ``TISSUES``, or ``UNSURE``.
    cells : (h, w)
        How many cells the crop is divided into.
    """
    findings = (bits[None] >> np.arange(len(PATCH_FINDINGS), dtype=np.uint16)[:, None, None]) & 1
    tissues = tissue[None] == np.arange(len(TISSUES), dtype=np.uint8)[:, None, None]
    tissues[_VESSEL] = tissues[_LUNG] & (hounsfield > _VESSEL_HU) & ~findings.any(axis=0)
    filled = torch.from_numpy(np.concatenate([findings, tissues]).astype(np.float32))
    shares: Tensor = functional.adaptive_avg_pool2d(filled, cells)
    return shares


def seen_at_tokens(shares: Tensor, side: int) -> Tensor:
    """Return 1 seen, 0 not, -1 undecided (N, K, side, side) of shares (N, K, P, P).

    A token that one cell of a finding reaches shows it, however large the token is: a small lesion
    is not outvoted by the lung about it. So it is with vessels, which resemble lesions.
    """
    F = len(PATCH_FINDINGS)
    fullest = functional.adaptive_max_pool2d(shares, side)
    findings = _filled(fullest[:, :F])
    ill, doubtful = (findings == 1).any(dim=1), (findings == -1).any(dim=1)
    mean = functional.adaptive_avg_pool2d(shares[:, F:], side)
    tissues = torch.where(mean >= _TISSUE_SEEN, 1, torch.where(mean > _TISSUE_NOT, -1, 0))
    lung, vessel = tissues[:, _LUNG], _filled(fullest[:, F + _VESSEL])
    # "normal lung" says that nothing is wrong with it
    lung = torch.where(doubtful & (lung == 1), -1, lung)
    tissues[:, _LUNG] = torch.where(ill, 0, lung)
    # the rim of a lesion is as dense as a vessel and has no name
    beside = torch.where(vessel == 1, -1, 0)
    tissues[:, _VESSEL] = torch.where(ill, beside, torch.where(doubtful, -1, vessel))
    tissues[:, _UNDECIDED] = -1
    return torch.cat([findings, tissues], dim=1).to(torch.int8)


def _filled(share: Tensor) -> Tensor:
    return torch.where(share >= _FILLED, 1, torch.where(share > _UNTOUCHED, -1, 0))

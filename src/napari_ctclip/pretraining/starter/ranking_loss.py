"""Ranking loss: patches with a finding above those of normal lung, by the montage's own score.

The contrastive loss spreads its effort over every tissue. A montage needs the finding's name
against "normal lung": what is confused there is learnt here.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_ctclip.pretraining.starter.patch_pool import PATCH_FINDINGS
from napari_ctclip.pretraining.starter.token_targets import TISSUES

__all__ = ["ranking_loss"]

_F = len(PATCH_FINDINGS)
_LUNG, _VESSEL = (_F + TISSUES.index(name) for name in ("lung", "vessel"))
_MOST = 256
"""Ours: pictures or places drawn on either side of a finding's pairs."""


def ranking_loss(
    vectors: Tensor,
    seen: Tensor,
    texts: Tensor,
    normal: Tensor,
    scale: Tensor,
    rng: np.random.Generator,
) -> Tensor:
    """Return the mean over findings of the logistic loss of pairs of ill and healthy.

    Half of the healthy ones have a vessel where any are known to.

    Parameters
    ----------
    vectors : Tensor (N, E)
        Pictures or places, unit norm.
    seen : Tensor (N, K)
        1 seen, 0 not, -1 undecided; findings, then tissues.
    texts, normal : Tensor (F, E) and (E,)
        A wording of each finding and one of normal lung, unit norm.
    scale : Tensor
        Factor on the cosines (``exp(logit_scale)``); not trained by this loss.
    rng : Generator
        Draws places where there are many.

    References
    ----------
    Burges et al. 2005 (RankNet, ICML), section 3: the logistic loss of score differences.
    """
    scores = vectors @ (texts - normal).T
    healthy = seen[:, _LUNG] == 1
    vessels = _some(healthy & (seen[:, _VESSEL] == 1), rng, _MOST // 2)
    rest = torch.cat([vessels, _some(healthy, rng, _MOST - len(vessels))])
    losses = []
    for finding in range(_F):
        ill = _some(seen[:, finding] == 1, rng, _MOST)
        if len(ill) and len(rest):
            above = scores[ill, finding][:, None] - scores[rest, finding][None]
            losses.append(functional.softplus(-scale.detach() * above).mean())
    return torch.stack(losses).mean() if losses else vectors.sum() * 0


def _some(chosen: Tensor, rng: np.random.Generator, most: int) -> Tensor:
    """Return up to ``most`` of the indices where a mask is set."""
    found = np.flatnonzero(chosen.numpy())
    if len(found) > most:
        found = rng.choice(found, most, replace=False)
    return torch.from_numpy(found)

"""Patch losses: tokens against texts, and what is ill ranked above normal lung."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_ctclip.models.published.slice_model import SliceModel
from napari_ctclip.pretraining.starter.localisation_targets import seen_at_tokens
from napari_ctclip.pretraining.starter.patch_pool import PATCH_FINDINGS
from napari_ctclip.pretraining.starter.token_targets import TISSUES

__all__ = ["EarlierTokens", "localisation_loss", "ranking_loss"]

_OUT_OF_REACH = -1e3  # a logit: nothing competes there


class EarlierTokens(nn.Module):
    """Read-out of an earlier layer, for training alone: small things are still seen apart there.

    What that layer learns to tell apart, the last one can pass on.

    Parameters
    ----------
    model : SliceModel
        With open_clip's ``ModifiedResNet``.
    name : str
        Layer of its image tower.
    width : int
        The width of embeddings.

    References
    ----------
    Lee et al. 2015, "Deeply-Supervised Nets" (arXiv 1409.5185), section 2: companion objectives of
    hidden layers; here against the texts, as the last layer's are.
    """

    def __init__(self, model: SliceModel, name: str, width: int) -> None:
        super().__init__()
        visual: nn.Module = model.clip.visual  # type: ignore[assignment]
        layer: nn.Sequential = getattr(visual, name)
        channels: int = layer[-1].conv3.out_channels  # type: ignore[union-attr, assignment]
        self.head = nn.Conv2d(channels, width, kernel_size=1)
        self._map: Tensor | None = None
        layer.register_forward_hook(self._keep)

    def forward(self) -> Tensor:
        """Return tokens (N, E, h, w), unit norm, of the images that the model encoded last."""
        kept, self._map = self._map, None  # a model that is copied holds no graph
        assert kept is not None, "the model encodes images first"
        return functional.normalize(self.head(kept.float()), dim=1)

    def _keep(self, _: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
        self._map = output


def localisation_loss(
    tokens: Tensor, shares: Tensor, texts: Tensor, kinds: Tensor, scale: Tensor
) -> Tensor:
    """Return the symmetric soft cross-entropy between tokens and texts.

    Half of it asks each token for the texts of what is there; half asks each text for the tokens
    where it is, among all of the batch: there a rare finding counts as much as a common one.

    Parameters
    ----------
    tokens : Tensor (N, E, h, h)
        Unit norm along E.
    shares : Tensor (N, K, P, P)
        Of :func:`~napari_ctclip.pretraining.starter.localisation_targets.cell_shares`.
    texts : Tensor (M, E)
        Unit norm.
    kinds : Tensor (M,), long
        Finding or tissue of each text, an index into K.
    scale : Tensor
        Factor on the cosines (``exp(logit_scale)``).
    """
    seen = seen_at_tokens(shares, tokens.shape[-1])[:, kinds]
    status = seen.permute(0, 2, 3, 1).flatten(0, 2)
    logits = scale * torch.einsum("nehw,me->nhwm", tokens, texts).flatten(0, 2)
    logits = logits.masked_fill(status < 0, _OUT_OF_REACH)
    right = (status == 1).to(logits.dtype)
    return (_cross_entropy(logits, right) + _cross_entropy(logits.T, right.T)) / 2


def _cross_entropy(logits: Tensor, right: Tensor) -> Tensor:
    """Return the mean over rows that have a right answer; several share the row."""
    count = right.sum(dim=1)
    rows = -(right * logits.log_softmax(dim=1)).sum(dim=1) / count.clamp_min(1.0)
    return rows.sum() / (count > 0).sum().clamp_min(1)


_F = len(PATCH_FINDINGS)
_LUNG, _VESSEL = (_F + TISSUES.index(name) for name in ("lung", "vessel"))
_MOST = 256
"""Ours: pictures or tokens drawn on either side of a finding's pairs."""


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
        Pictures or tokens, unit norm.
    seen : Tensor (N, K)
        1 seen, 0 not, -1 undecided; findings, then tissues.
    texts, normal : Tensor (F, E) and (E,)
        A phrasing of each finding and one of normal lung, unit norm.
    scale : Tensor
        Factor on the cosines (``exp(logit_scale)``); not trained by this loss.
    rng : Generator
        Draws tokens where there are many.

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
    found = np.flatnonzero(chosen.cpu().numpy())
    if len(found) > most:
        found = rng.choice(found, most, replace=False)
    return torch.from_numpy(found).to(chosen.device)

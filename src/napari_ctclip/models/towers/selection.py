"""Selection of significant regions: the few tokens that speak for an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

__all__ = ["RegionSelection", "SelectedRegions", "SelectionMode"]

SelectionMode = Literal["hard", "soft"]
"""The highest K tokens and no other, or all of them by weight."""


@dataclass(frozen=True, eq=False)
class SelectedRegions:
    """The tokens that were chosen.

    Attributes
    ----------
    tokens : Tensor (B, K, C)
        K is the number of all tokens when the selection is soft.
    weights : Tensor (B, K)
        How much each counts, 0..1; 1 for every token of a hard selection.
    indices : Tensor (B, K) int
        The index of each among the tokens of the image.
    entropy : Tensor (B,)
        The entropy of the scores as probabilities, over its highest possible value: 0..1.
    """

    tokens: Tensor
    weights: Tensor
    indices: Tensor
    entropy: Tensor


class RegionSelection(nn.Module):
    """Scores every token and keeps the significant ones.

    Parameters
    ----------
    width : int
        The channels C of a token.
    keep : int
        K, at most; an image of fewer tokens keeps all.
    mode : {"hard", "soft"}
        Hard: the highest ``keep``; gradients reach the scores straight through, as if each kept
        token were weighed by its softmax probability times K. Soft: a sigmoid around the score of
        the K-th token, noised in training (Gumbel) so that others are tried.
    temperature : float
        The temperature of that sigmoid.

    References
    ----------
    Rizvi et al. 2023 (LRCLR, arXiv 2303.14153): significant regions are selected before image and
    text interact. Ours: how, since neither code nor constants were published.
    """

    def __init__(
        self, width: int, *, keep: int, mode: SelectionMode = "hard", temperature: float = 0.5
    ) -> None:
        super().__init__()
        self.keep, self.mode, self.temperature = keep, mode, temperature
        self.gate = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 1))

    def forward(self, tokens: Tensor, attention: Tensor | None = None) -> SelectedRegions:
        """Return the significant tokens of (B, N, C).

        Parameters
        ----------
        tokens : Tensor (B, N, C)
            The tokens of the image.
        attention : Tensor (B, N), optional
            Positive significance from the encoder's attention, used instead of the learned gate.
        """
        scores = self.gate(tokens).squeeze(-1) if attention is None else attention.log()
        probability = scores.softmax(dim=1)
        N = scores.shape[1]
        keep = min(self.keep, N)
        if self.mode == "hard":
            indices = scores.topk(keep, dim=1).indices
            share = keep * probability.gather(1, indices)
            weights = 1.0 + (share - share.detach())  # exactly 1; the gradient is the share's
        else:
            indices = torch.arange(N, device=scores.device).expand(len(scores), N)
            noised = scores + _gumbel(scores) if self.training else scores
            threshold = noised.detach().topk(keep, dim=1).values[:, -1:]
            weights = ((noised - threshold) / self.temperature).sigmoid()
        chosen = tokens.gather(1, indices.unsqueeze(-1).expand(-1, -1, tokens.shape[2]))
        entropy = -(probability * probability.clamp_min(1e-12).log()).sum(dim=1)
        highest = torch.log(scores.new_tensor(max(2, N)))
        return SelectedRegions(chosen * weights.unsqueeze(-1), weights, indices, entropy / highest)


def _gumbel(like: Tensor) -> Tensor:
    uniform = torch.rand_like(like).clamp(1e-6, 1 - 1e-6)
    return -(-uniform.log()).log()

"""Companions: a second model, or a slowly moving copy of one, beside the model in training."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

__all__ = ["MomentumText", "TwinModels"]


class TwinModels(nn.Module):
    """Two models of one architecture that take turns: one learns, the other gives soft targets.

    Parameters
    ----------
    first, second : nn.Module
        Alike but for their random start; the first is kept in the end (ours).
    interval : int
        Steps until they change roles.

    References
    ----------
    Shui et al. 2025 (arXiv 2501.14548), section 3: two models teach each other. Ours: the interval;
    they see different data because each learns from every other batch only.
    """

    def __init__(self, first: nn.Module, second: nn.Module, *, interval: int = 1) -> None:
        super().__init__()
        self.first, self.second, self.interval = first, second, interval
        self._second_learns = False

    def swap_roles(self, step: int) -> None:
        """Give out the roles of a step."""
        self._second_learns = (step // self.interval) % 2 == 1

    @property
    def learner(self) -> Any:
        """The model whose weights this step changes."""
        return self.second if self._second_learns else self.first

    @property
    def teacher(self) -> Any:
        """The other one."""
        return self.first if self._second_learns else self.second


class MomentumText(nn.Module):
    """A model with a copy of its text half that follows it slowly.

    Parameters
    ----------
    model : nn.Module
        With ``text_encoder`` and ``text_projection``.
    momentum : float
        Share of the copy that stays at every step; 0.995 is DAMO-RADAR's.
    """

    def __init__(self, model: nn.Module, *, momentum: float = 0.995) -> None:
        super().__init__()
        self.model: Any = model
        self.momentum = momentum
        self.slow_encoder: Any = copy.deepcopy(self.model.text_encoder).requires_grad_(False)
        self.slow_projection: Any = copy.deepcopy(self.model.text_projection).requires_grad_(False)

    @torch.no_grad()
    def follow(self) -> None:
        """Take in the model's text half after a step."""
        pairs = (
            (self.slow_encoder, self.model.text_encoder),
            (self.slow_projection, self.model.text_projection),
        )
        for slow, fast in pairs:
            for held, moved in zip(slow.parameters(), fast.parameters(), strict=True):
                held.lerp_(moved, 1 - self.momentum)

"""Objective: what every method is: embed samples, then compare all of them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from napari_ctclip.pretraining.data.samples import Need

__all__ = ["Objective", "Options", "Rows", "Setting", "phrasing_numbers", "scale_rows"]

Rows = dict[str, Tensor]
"""Named tensors whose first axis is the sample: what two ranks can put together."""


class Options(BaseModel):
    """The ``[objective]`` table of a recipe; each method has its own keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Setting:
    """What an objective knows of the recipe around it.

    Attributes
    ----------
    anatomies : tuple of str
        The anatomies of masks and captions, in their order.
    seed : int
        The seed of the run, for what is drawn anew at each step.
    abnormalities : mapping of str to sequence of (name, text)
        The texts that may serve as negatives of each anatomy: the abnormality that each describes,
        and its words.
    batch : int
        The samples of a step, of all ranks together.
    """

    anatomies: tuple[str, ...]
    seed: int = 0
    abnormalities: Mapping[str, Sequence[tuple[str, str]]] | None = None
    batch: int = 0


class Objective(ABC):
    """A training objective in two halves.

    ``embed`` looks at samples one by one, so that it can be done in chunks and on several devices;
    ``loss`` compares them all. Between the two the loop joins what chunks and ranks gave: no
    objective knows of either. ``objective(model, batch)`` is both, for one rank and one chunk.

    ``loss`` is computed on every rank, from the rows of all: what it draws at random must come from
    (seed, step), so that every rank draws the same. ``embed`` may use the generators of torch,
    which the loop seeds anew for each chunk.
    """

    options_type: ClassVar[type[Options]] = Options
    names_organs: ClassVar[bool] = False
    """Whether organs are contrasted with their names, so that the model can name them."""
    highest_scale: ClassVar[float] = 100.0
    """The largest factor on a cosine (Radford et al. 2021 (CLIP), section 2.5)."""

    def __init__(self, options: Any, setting: Setting) -> None:
        self.options: Any = options
        self.setting = setting

    def __call__(self, model: Any, batch: Any) -> dict[str, Tensor]:
        """Return the named terms; their sum is the loss."""
        return self.loss(self.embed(model, batch))

    @classmethod
    def needs(cls, options: Any) -> frozenset[Need]:
        """Return what a study must have to be trained on."""
        return frozenset({"report"})

    @abstractmethod
    def embed(self, model: Any, batch: Any) -> Rows:
        """Return what the loss needs of each sample; every tensor has B rows.

        The batch is of the kind that the objective's samples make: a ``StudyBatch`` for most.
        """

    @abstractmethod
    def loss(self, rows: Rows) -> dict[str, Tensor]:
        """Return the named terms from the rows of the whole batch."""

    def module(self, model: nn.Module, make_another: Callable[[], nn.Module]) -> nn.Module:
        """Return what is trained: the model, or the model with what is trained beside it."""
        return model

    def model_of(self, module: nn.Module) -> nn.Module:
        """Return the model to keep when the training is over."""
        return module

    def rate_factor(self, name: str) -> float:
        """Return the factor on the learning rate of a parameter of the trained module."""
        return 1.0

    def write_extras(  # noqa: B027
        self, trained: nn.Module, weights: Mapping[str, Tensor], folder: Path
    ) -> None:
        """Write what belongs into the model's folder beside the model."""

    def start_step(self, module: nn.Module, step: int) -> None:  # noqa: B027
        """Get ready for a step; called before ``embed``."""

    @torch.no_grad()
    def end_step(self, module: nn.Module) -> None:
        """Take in changed weights; called after the optimiser. The scale stays below its limit."""
        for name, parameter in module.named_parameters():
            if name.rpartition(".")[2] == "logit_scale":
                parameter.clamp_(max=math.log(self.highest_scale))


def scale_rows(model: Any, count: int) -> Tensor:
    """Return the factor on a cosine, once a sample (B,).

    It travels with the embeddings, so that its gradient is put together as theirs is.
    """
    scale: Tensor = model.logit_scale.exp()
    return scale.expand(count)


def phrasing_numbers(texts: Sequence[str], like: Tensor) -> Tensor:
    """Return an int64 a text, equal for equal texts, on every rank."""
    numbers = [int.from_bytes(sha256(text.encode()).digest()[:8], "big") >> 1 for text in texts]
    return torch.tensor(numbers, dtype=torch.int64, device=like.device)

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

from napari_ctclip.pretraining.data.samples import Need, StudyBatch

__all__ = ["Objective", "Options", "Rows", "Setting", "phrasing_numbers", "scale_rows"]

_HIGHEST_SCALE = math.log(100.0)

Rows = dict[str, Tensor]
"""Named tensors whose first axis is the sample: what two processes can put together."""


class Options(BaseModel):
    """The ``[objective]`` table of a recipe; each method has its own keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Setting:
    """What an objective is told of its surroundings.

    Attributes
    ----------
    anatomies : tuple of str
        Of masks and captions, in their order.
    seed : int
        Of the run, for what is drawn anew at each step.
    abnormalities : mapping of str to sequence of (name, text)
        Texts that may serve as negatives of each anatomy: the abnormality each tells of, its words.
    """

    anatomies: tuple[str, ...]
    seed: int = 0
    abnormalities: Mapping[str, Sequence[tuple[str, str]]] | None = None


class Objective(ABC):
    """A training objective in two halves.

    ``embed`` looks at samples one by one, so that it can be done in chunks and on several devices;
    ``loss`` compares them all. Between the two the loop joins what chunks and processes gave: no
    objective knows of either. ``objective(model, batch)`` is both, for one process and one chunk.
    """

    options_type: ClassVar[type[Options]] = Options
    names_organs: ClassVar[bool] = False
    """Whether organs are held against their names, so that the model can name them."""

    def __init__(self, options: Any, setting: Setting) -> None:
        self.options: Any = options
        self.setting = setting

    def __call__(self, model: Any, batch: StudyBatch) -> dict[str, Tensor]:
        """Return the named terms; their sum is the loss."""
        return self.loss(self.embed(model, batch))

    @classmethod
    def needs(cls, options: Any) -> frozenset[Need]:
        """Return what a study must have to be trained on."""
        return frozenset({"report"})

    @abstractmethod
    def embed(self, model: Any, batch: StudyBatch) -> Rows:
        """Return what the loss needs of each sample; every tensor has B rows."""

    @abstractmethod
    def loss(self, rows: Rows) -> dict[str, Tensor]:
        """Return the named terms from the rows of the whole batch."""

    def module(self, model: nn.Module, make_another: Callable[[], nn.Module]) -> nn.Module:
        """Return what is trained: the model, or the model with a companion."""
        return model

    def model_of(self, module: nn.Module) -> nn.Module:
        """Return the model to keep when the training is over."""
        return module

    def write_more(  # noqa: B027
        self, trained: nn.Module, weights: Mapping[str, Tensor], folder: Path
    ) -> None:
        """Write what belongs into the model's folder beside the model."""

    def start_step(self, module: nn.Module, step: int) -> None:  # noqa: B027
        """Get ready for a step; called before ``embed``."""

    @torch.no_grad()
    def end_step(self, module: nn.Module) -> None:
        """Take in changed weights; called after the optimiser. The scale stays at most 100.

        References
        ----------
        Radford et al. 2021 (CLIP), section 2.5.
        """
        for name, parameter in module.named_parameters():
            if name.rpartition(".")[2] == "logit_scale":
                parameter.clamp_(max=_HIGHEST_SCALE)


def scale_rows(model: Any, count: int) -> Tensor:
    """Return the factor on a cosine, once a sample (B,).

    It travels with the embeddings, so that its gradient is put together as theirs is.
    """
    scale: Tensor = model.logit_scale.exp()
    return scale.expand(count)


def phrasing_numbers(texts: Sequence[str], like: Tensor) -> Tensor:
    """Return an int64 a text, equal for equal texts, on every process."""
    numbers = [int.from_bytes(sha256(text.encode()).digest()[:8], "big") >> 1 for text in texts]
    return torch.tensor(numbers, dtype=torch.int64, device=like.device)

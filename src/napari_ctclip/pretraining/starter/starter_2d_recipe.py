"""The 2D starter's recipe: what its file says."""

from __future__ import annotations

from typing import Any

from napari_ctclip.pretraining.starter.recipe import Table

__all__ = ["Starter2dData", "Starter2dModel", "Starter2dRecipe", "Starter2dTraining"]


class Starter2dModel(Table):
    """Architecture and what the model sees."""

    embedding_width: int
    windows_hu: tuple[tuple[float, float], ...]
    pixel_mm: float
    image: dict[str, Any]
    text: dict[str, Any]


class Starter2dData(Table):
    """The pool of simulated squares."""

    slices: int
    chests: int
    per_chest: int
    seed: int = 0


class Starter2dTraining(Table):
    """Optimisation.

    Attributes
    ----------
    places : float
        Weight of the loss of places, of the last layer and the one before; 0 leaves it out.
    ranking : float
        Weight of the ranking loss; 0 leaves it out.
    ranking_from : int
        First step of the ranking loss: what is common is learnt before.
    cosine : int
        Step at which the learning rate would be zero; the last one where it is 0.
    """

    steps: int
    batch: int
    learning_rate: float
    weight_decay: float
    warm_up: int
    ema: float
    save_every: int
    places: float = 0.0
    ranking: float = 0.0
    ranking_from: int = 0
    cosine: int = 0
    seed: int = 0


class Starter2dRecipe(Table):
    """A whole training."""

    model: Starter2dModel
    data: Starter2dData
    training: Starter2dTraining

"""Recipe: what a training does, read from TOML; an unknown key is an error."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_ctclip.core.errors import DataError

__all__ = ["Recipe", "load_recipe"]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelTable(_Table):
    """Architecture and what the model sees."""

    embedding_width: int = 64
    windows_hu: tuple[tuple[float, float], ...]
    image: dict[str, Any] = Field(default_factory=dict)
    text: dict[str, Any] = Field(default_factory=dict)


class TextTable(_Table):
    """Distillation of the text encoder."""

    corpus: int = 40_000
    steps: int = 1500


class DataTable(_Table):
    """Simulated studies and crops."""

    studies: int = 150
    crop: int = 64
    lesion_share: float = 0.7
    wide_crop: int = 80
    wide_batch: int = 2
    wide_every: int = 3  # every so many steps sees wide crops; 0 for none


class TrainingTable(_Table):
    """Optimisation."""

    steps: int = 2400
    batch: int = 8
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    warm_up: int = 100
    ema: float = 0.998
    save_every: int = 100
    seed: int = 0


class ObjectiveTable(_Table):
    """Arguments of the token-grounding objective."""

    wordings: int = 2
    hard_share: float = 0.002
    naming_weight: float = 0.5
    region_weight: float = 0.4


class Recipe(_Table):
    """A whole training."""

    model: ModelTable
    text: TextTable = TextTable()
    data: DataTable = DataTable()
    training: TrainingTable = TrainingTable()
    objective: ObjectiveTable = ObjectiveTable()


def load_recipe(file: Path, *, overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipe of a TOML file.

    Parameters
    ----------
    file : Path
        The recipe.
    overrides : sequence of str
        ``table.key=value`` each, the value as TOML writes it: ``training.steps=200``.

    Raises
    ------
    DataError
        If the file cannot be read, or a key is unknown or of the wrong kind.
    """
    try:
        table = tomllib.loads(file.read_text("utf-8"))
        for override in overrides:
            _override(table, override)
        return Recipe.model_validate(table)
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise DataError(f"{file}: the recipe cannot be used: {error}") from error


def _override(table: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals:
        raise DataError(f"expected table.key=value, got {text!r}; e.g. training.steps=200")
    *parents, last = key.strip().split(".")
    for parent in parents:
        table = table.setdefault(parent, {})
    try:
        table[last] = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        table[last] = value.strip()

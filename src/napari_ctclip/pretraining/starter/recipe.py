"""Recipe: what a training does, read from TOML; an unknown key is an error."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_ctclip.core.errors import DataError

__all__ = ["Recipe", "Table", "describe_mistakes", "load_recipe", "read_recipe"]


class Table(BaseModel):
    """A table of a recipe: no other keys, no changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


_Kind = TypeVar("_Kind", bound=BaseModel)


class ModelTable(Table):
    """Architecture and what the model sees."""

    embedding_width: int = 64
    windows_hu: tuple[tuple[float, float], ...]
    image: dict[str, Any] = Field(default_factory=dict)
    text: dict[str, Any] = Field(default_factory=dict)


class TextTable(Table):
    """Distillation of the text encoder."""

    corpus: int = 40_000
    steps: int = 1500


class DataTable(Table):
    """Simulated studies and crops."""

    studies: int = 150
    crop: int = 64
    lesion_share: float = 0.7
    wide_crop: int = 80
    wide_batch: int = 2
    wide_every: int = 3  # every so many steps sees wide crops; 0 for none


class TrainingTable(Table):
    """Optimisation."""

    steps: int = 2400
    batch: int = 8
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    warm_up: int = 100
    ema: float = 0.998
    save_every: int = 100
    seed: int = 0


class ObjectiveTable(Table):
    """Arguments of the token-grounding objective."""

    wordings: int = 2
    hard_share: float = 0.002
    naming_weight: float = 0.5
    region_weight: float = 0.4


class Recipe(Table):
    """A whole training."""

    model: ModelTable
    text: TextTable = TextTable()
    data: DataTable = DataTable()
    training: TrainingTable = TrainingTable()
    objective: ObjectiveTable = ObjectiveTable()


def load_recipe(file: Path, *, overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipe of the bundled model; see :func:`read_recipe`."""
    return read_recipe(file, Recipe, overrides=overrides)


def read_recipe(file: Path, kind: type[_Kind], *, overrides: Sequence[str] = ()) -> _Kind:
    """Return the recipe of a TOML file.

    Parameters
    ----------
    file : Path
        The recipe.
    kind : type
        What it describes.
    overrides : sequence of str
        ``table.key=value`` each, the value as TOML writes it: ``training.steps=200``.

    Raises
    ------
    DataError
        If the file cannot be read, or a key is unknown (the nearest right one is named) or of the
        wrong kind.
    """
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{file}: the recipe cannot be read: {error}") from error
    for override in overrides:
        _override(table, override)
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        raise DataError(f"{file}: {describe_mistakes(error, kind)}") from error


def describe_mistakes(error: ValidationError, kind: type[BaseModel], *, prefix: str = "") -> str:
    """Return what is wrong with a recipe, key by key, on one line."""
    told = []
    for mistake in error.errors():
        path = [str(part) for part in mistake["loc"]]
        key = ".".join([*([prefix] if prefix else []), *path])
        if mistake["type"] == "extra_forbidden":
            known = list(_table_at(kind, path[:-1]).model_fields)
            near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}"
            told.append(f"unknown key {key!r}; {hint}")
        elif mistake["type"] == "missing":
            told.append(f"{key!r} is missing")
        else:
            told.append(f"{key!r}: {mistake['msg'].lower()}, got {mistake['input']!r}")
    return "; ".join(told)


def _table_at(kind: type[BaseModel], path: Sequence[str]) -> type[BaseModel]:
    for part in path:
        annotation = kind.model_fields[part].annotation
        assert isinstance(annotation, type)
        kind = annotation
    return kind


def _override(table: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals:
        raise DataError(f"expected table.key=value, got {text!r}; e.g. training.steps=200")
    *parents, last = key.strip().split(".")
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise DataError(f"{key.strip()!r}: {parent!r} is a value, not a table of the recipe")
    try:
        table[last] = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        table[last] = value.strip()

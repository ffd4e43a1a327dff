"""Recipe files: a recipe, or any other table, read from TOML; an unknown key is an error."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from napari_ctclip.core.errors import DataError
from napari_ctclip.pretraining.recipe import Recipe

__all__ = ["describe_mistakes", "load_recipe", "read_table"]

_Kind = TypeVar("_Kind", bound=BaseModel)

Keys = tuple[str, ...]

# Recipes of the bundled models had tables of their own once; their files and overrides still read.
_MOVED: dict[Keys, Keys] = {
    ("model", "windows_hu"): ("preprocessing", "windows_hu"),
    ("text", "corpus"): ("distillation", "corpus"),
    ("text", "steps"): ("distillation", "steps"),
    ("data", "studies"): ("data", "simulated_studies"),
    ("data", "seed"): ("data", "first_seed"),
    ("data", "wide_crop"): ("data", "wide", "crop"),
    ("data", "wide_batch"): ("data", "wide", "batch"),
    ("data", "wide_every"): ("data", "wide", "every"),
    ("data", "slices"): ("data", "pool", "slices"),
    ("data", "chests"): ("data", "pool", "chests"),
    ("data", "per_chest"): ("data", "pool", "per_chest"),
    ("training", "save_every"): ("loop", "save_every"),
    ("training", "seed"): ("loop", "seed"),
    ("training", "cosine"): ("optimizer", "cosine_steps"),
    ("objective", "wordings"): ("objective", "phrasings"),
    ("training", "places"): ("objective", "localisation"),
    ("training", "ranking"): ("objective", "ranking"),
    ("training", "ranking_from"): ("objective", "ranking_from"),
}
_STARTER: dict[str, Any] = {
    "method": "starter",
    "model": {
        "kind": "towers",
        "name": "starter",
        "embedding_width": 64,
        "image": {"kind": "cnn"},
    },
    "preprocessing": {"spacing_mm": [2.0, 2.0, 2.0], "multiple_of": [16, 16, 16]},
    "data": {
        "simulated_studies": 150,
        "crop": [64, 64, 64],
        "wide": {"crop": 80, "batch": 2, "every": 3},
        "workers": 1,
    },
    "optimizer": {
        "steps": 2400,
        "batch": 8,
        "learning_rate": 2e-3,
        "weight_decay": 0.02,
        "warm_up": 100,
        "betas": [0.9, 0.98],
        "ema": 0.998,
    },
    "loop": {"devices": 1},
    "distillation": {},
}
_STARTER_2D: dict[str, Any] = {
    "method": "starter_2d",
    "model": {"kind": "open_clip", "name": "starter-2d"},
    "preprocessing": {"multiple_of": [1, 32, 32]},
    "optimizer": {"betas": [0.9, 0.98]},
    "loop": {"devices": 1},
}
_SLICE_MM = 5.0


def load_recipe(file: Path, *, overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipe of a TOML file; see :func:`read_table`."""
    return read_table(file, Recipe, overrides=overrides)


def read_table(file: Path, kind: type[_Kind], *, overrides: Sequence[str] = ()) -> _Kind:
    """Return the table that a TOML file describes.

    Parameters
    ----------
    file : Path
        The file.
    kind : type
        What it describes.
    overrides : sequence of str
        ``table.key=value`` each, the value as TOML writes it: ``optimizer.steps=200``.

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
    if kind is Recipe:
        table = _in_present_form(table)
    for override in overrides:
        _override(table, override)
    if kind is Recipe and table.get("method") in ("starter", "starter_2d"):
        _move_keys(table, flat=table["method"] == "starter_2d")
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        raise DataError(f"{file}: {describe_mistakes(error, kind)}") from error


def describe_mistakes(error: ValidationError, kind: type[BaseModel], *, prefix: str = "") -> str:
    """Return what is wrong with a table, key by key, on one line."""
    described = []
    for mistake in error.errors():
        path = [str(part) for part in mistake["loc"]]
        key = ".".join([*([prefix] if prefix else []), *path])
        if mistake["type"] == "extra_forbidden":
            known = list(_table_at(kind, path[:-1]).model_fields)
            near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}"
            described.append(f"unknown key {key!r}; {hint}")
        elif mistake["type"] == "missing":
            described.append(f"{key!r} is missing")
        else:
            described.append(f"{key!r}: {mistake['msg'].lower()}, got {mistake['input']!r}")
    return "; ".join(described)


def _table_at(kind: type[BaseModel], path: Sequence[str]) -> type[BaseModel]:
    for part in path:
        annotation = kind.model_fields[part].annotation
        kinds = (annotation, *get_args(annotation))  # of an optional table, the first argument
        kind = next(k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel))
    return kind


def _override(table: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals:
        raise DataError(f"expected table.key=value, got {text!r}; e.g. optimizer.steps=200")
    *parents, last = key.strip().split(".")
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise DataError(f"{key.strip()!r}: {parent!r} is a value, not a table of the recipe")
    try:
        table[last] = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        table[last] = value.strip()


# --- recipes of the bundled models as they were before there was one kind of recipe ---------------


def _in_present_form(table: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe with the keys of today; one that names its method has them already."""
    model = table.get("model")
    if "method" in table or "training" not in table or not isinstance(model, dict):
        return table
    flat = "pixel_mm" in model
    side = model.get("image", {}).get("image_size", 0)
    _move_keys(table, flat=flat)
    return (
        _merged(_STARTER_2D | {"data": {"crop": [1, side, side], "workers": 1}}, table)
        if flat
        else _merged(_STARTER, table)
    )


def _move_keys(table: dict[str, Any], *, flat: bool) -> None:
    """Give the keys of old recipes and old overrides the names that they have now."""
    text = ("model", "head", "text_cfg") if flat else ("distillation", "encoder")
    for old, new in {**_MOVED, ("model", "text"): text}.items():
        inside = table.get(old[0])
        if isinstance(inside, dict) and old[1] in inside:
            _set(table, new, inside.pop(old[1]))
    for key, value in table.pop("training", {}).items():
        _set(table, ("optimizer", key), value)
    if "pixel_mm" in table.get("model", {}):
        pixel_mm = table["model"].pop("pixel_mm")
        _set(table, ("preprocessing", "spacing_mm"), [_SLICE_MM, pixel_mm, pixel_mm])
    if not table.get("text", True):
        del table["text"]
    crop = table.get("data", {}).get("crop")
    if isinstance(crop, int):
        table["data"]["crop"] = [crop] * 3


def _set(table: dict[str, Any], keys: Keys, value: Any) -> None:
    """Set a value at its place in a table; a table joins the one that is there."""
    for key in keys[:-1]:
        table = table.setdefault(key, {})
    table[keys[-1]] = _joined(table.get(keys[-1]), value)


def _merged(defaults: dict[str, Any], table: dict[str, Any]) -> dict[str, Any]:
    """Return a table over its defaults, and so the tables within it."""
    merged = dict(defaults)
    for key, value in table.items():
        merged[key] = _joined(merged.get(key), value)
    return merged


def _joined(known: Any, value: Any) -> Any:
    """Return a value in the place of a known one; of two tables, the one over the other."""
    if isinstance(known, dict) and isinstance(value, dict):
        return _merged(known, value)
    return value

"""Run folder: what a training leaves behind, written so that no kill can harm it.

``state.pt`` (to go on), ``model/`` (to open), ``snapshots/`` (models on the way), ``recipe.toml``,
``data.json``, ``metrics.csv``, ``tensorboard/``, ``provenance.json``, ``status.json``.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from napari_ctclip.core.errors import DataError
from napari_ctclip.pretraining.recipe import Recipe
from napari_ctclip.pretraining.runs.run_record import SNAPSHOTS, snapshot_name

__all__ = ["RunFolder"]

_STATE, _RECIPE, _DATA, _PROVENANCE = "state.pt", "recipe.toml", "data.json", "provenance.json"
_PACKAGES = ("napari-ctclip", "torch", "lightning-fabric", "numpy")


class RunFolder:
    """The folder of one training.

    Parameters
    ----------
    path : Path
        Made if it does not exist.

    Raises
    ------
    DataError
        If it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{path}: the folder of the run cannot be made: {error}") from error

    @property
    def model(self) -> Path:
        """Where the model is written."""
        return self.path / "model"

    @property
    def has_state(self) -> bool:
        """Whether there is anything to go on from."""
        return (self.path / _STATE).is_file()

    def require_fresh(self) -> None:
        """Pass a folder without a run in it.

        Raises
        ------
        DataError
            If a run has left its state there.
        """
        if self.has_state:
            raise DataError(
                f"{self.path} holds a run already; go on with it by --resume, or give another --out"
            )

    def save_state(self, fabric: Fabric, state: Mapping[str, Any]) -> None:
        """Write what is needed to go on; the old state stays until the new one is whole."""
        part = self.path / f"{_STATE}.part"
        fabric.save(part, dict(state))
        if fabric.is_global_zero:
            _sync(part)
            part.replace(self.path / _STATE)
            _sync(self.path)
        fabric.barrier()

    def load_state(self, fabric: Fabric, state: dict[str, Any]) -> None:
        """Fill in the state of a stopped run.

        Raises
        ------
        DataError
            If it is of another model, or damaged.
        """
        file = self.path / _STATE
        try:
            fabric.load(file, state)
        except (RuntimeError, KeyError, ValueError, EOFError) as error:
            first = str(error).strip().splitlines()[0]
            raise DataError(
                f"{file} cannot be resumed with this recipe ({first}); "
                "resume with the recipe the run began with, or give another --out"
            ) from error

    def saved_weights(self) -> dict[str, Tensor]:
        """Return the weights of the last state: whole, however many processes share them."""
        state = torch.load(self.path / _STATE, map_location="cpu", weights_only=True, mmap=True)
        weights: dict[str, Tensor] = state["module"]
        return weights

    def keep_snapshot(self, step: int) -> None:
        """Copy the model as it is after ``step`` steps; the copy appears whole."""
        target = self.path / SNAPSHOTS / snapshot_name(step)
        part = target.with_name(f"{target.name}.part")
        for left in (part, target):  # of a run that was killed, or did these steps before
            shutil.rmtree(left, ignore_errors=True)
        shutil.copytree(self.model, part)
        part.replace(target)

    def require_same_recipe(self, recipe: Recipe) -> None:
        """Pass a recipe that goes on with what the run began.

        Only the number of steps and what the loop table says of the work, the seed excepted, may
        differ.

        Raises
        ------
        DataError
            Naming the first table that does.
        """
        import tomllib

        began = Recipe.model_validate(tomllib.loads((self.path / _RECIPE).read_text("utf-8")))
        before, now = _that_must_stay(began), _that_must_stay(recipe)
        for table in before:
            if before[table] != now[table]:
                raise DataError(
                    f"{self.path}: the run began with another {table!r} in its recipe; resume with "
                    f"--recipe {self.path / _RECIPE}, or give another --out"
                )

    def write_recipe(self, recipe: Recipe) -> None:
        """Keep the recipe with every default filled in."""
        import tomli_w

        _write(self.path / _RECIPE, tomli_w.dumps(recipe.model_dump(mode="json")))

    def require_same_data(self, data: Mapping[str, Any]) -> None:
        """Pass the data that the run began with: its order and crops hang on it.

        Raises
        ------
        DataError
            Naming what differs.
        """
        file = self.path / _DATA
        began = json.loads(file.read_text("utf-8")) if file.is_file() else {"kind": "simulated"}
        changed = sorted(key for key in {*began, *data} if began.get(key) != data.get(key))
        if changed:
            raise DataError(
                f"{self.path}: the run began with other data ({', '.join(changed)} differ; it was "
                f"{began['kind']}, now {data['kind']}); resume with the --data it began with, or "
                "give another --out"
            )

    def write_data(self, data: Mapping[str, Any]) -> None:
        """Keep what the run is trained on: hashes and counts, no path."""
        _write(self.path / _DATA, json.dumps(dict(data), indent=2) + "\n")

    def note_start(self, fabric: Fabric, *, step: int, studies: int) -> None:
        """Add to ``provenance.json`` when, on what and with which versions a part of the run began.

        No name of a machine, user or path is kept.
        """
        file = self.path / _PROVENANCE
        known = json.loads(file.read_text("utf-8")) if file.is_file() and step else {"parts": []}
        known["parts"].append(
            {
                "began": datetime.now(UTC).isoformat(timespec="seconds"),
                "step": step,
                "processes": fabric.world_size,
                "device": _device_name(fabric.device),
                "python": platform.python_version(),
                "packages": {name: version(name) for name in _PACKAGES},
                "studies": studies,
            }
        )
        _write(file, json.dumps(known, indent=2) + "\n")


def _that_must_stay(recipe: Recipe) -> dict[str, Any]:
    plain = recipe.model_dump()
    plain["loop"] = {"seed": plain["loop"]["seed"]}
    del plain["optimizer"]["steps"], plain["data"]["workers"]
    return plain


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _write(file: Path, text: str) -> None:
    part = file.with_name(f"{file.name}.part")
    part.write_text(text, "utf-8")
    part.replace(file)


def _sync(path: Path) -> None:
    """Make sure that a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

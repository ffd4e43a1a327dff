"""Run folder: what a training leaves behind, written so that no kill can harm it.

``state.pt`` (to resume), ``model/`` (to open), ``snapshots/`` (models on the way), ``recipe.toml``,
``data.json``, ``metrics.csv``, ``tensorboard/``, ``provenance.json``, ``status.json``.
"""

from __future__ import annotations

import json
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
from napari_ctclip.io.files import remove_leftovers, replacing, replacing_folder, write_text
from napari_ctclip.pretraining.recipe import Recipe
from napari_ctclip.pretraining.recipe_files import load_recipe
from napari_ctclip.pretraining.runs.run_record import SNAPSHOTS, snapshot_name

__all__ = ["SIMULATED", "RunFolder"]

SIMULATED = {"kind": "simulated"}
"""What ``data.json`` says of simulated studies."""

_STATE, _RECIPE, _DATA, _PROVENANCE = "state.pt", "recipe.toml", "data.json", "provenance.json"
_OLD_STATE = "training_state.pt"  # of the bundled models, when they had loops of their own
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
        """Whether there is anything to resume."""
        return (self.path / _STATE).is_file()

    def can_resume(self) -> bool:
        """Return whether there is anything to resume.

        Raises
        ------
        DataError
            If there is, and an earlier version wrote it.
        """
        if not self.has_state and (self.path / _OLD_STATE).is_file():
            raise DataError(
                f"{self.path / _OLD_STATE} was written by an earlier version, which drew other "
                "random numbers: finish the run with the version that began it, or give another "
                "--out"
            )
        return self.has_state

    def require_startable(
        self, recipe: Recipe, data: Mapping[str, Any] = SIMULATED, *, resume: bool
    ) -> None:
        """Pass a folder without a run, or on resuming one that began with this recipe and data.

        Raises
        ------
        DataError
            Naming what is there, or what differs.
        """
        if not resume and self.has_state:
            raise DataError(
                f"{self.path} holds a run already; continue it with --resume, or give another --out"
            )
        if resume and self.can_resume():
            self.require_same_recipe(recipe)
            self.require_same_data(data)

    def save_state(self, fabric: Fabric, state: Mapping[str, Any]) -> None:
        """Write what is needed to resume; the old state stays until the new one is whole."""
        file = self.path / _STATE
        if fabric.is_global_zero:
            with replacing(file, durable=True) as partial:
                fabric.save(partial, dict(state))
        else:
            fabric.save(file, dict(state))  # takes part in gathering; the first process writes
        fabric.barrier()

    def load_state(self, fabric: Fabric, state: dict[str, Any]) -> None:
        """Fill in the state of a stopped run.

        Raises
        ------
        DataError
            If it is of another model, or damaged.
        """
        file = self.path / _STATE
        if fabric.is_global_zero:
            remove_leftovers(self.path)  # of the process that was killed
        try:
            fabric.load(file, state)
        except (RuntimeError, KeyError, ValueError, EOFError) as error:
            first = str(error).strip().splitlines()[0]
            raise DataError(
                f"{file} cannot be resumed with this recipe ({first}); "
                "resume with the recipe the run began with, or give another --out"
            ) from error

    def saved_weights(self) -> dict[str, Tensor]:
        """Return the weights of the last state, or their average where the recipe keeps one.

        They are whole, however many ranks share them.
        """
        state = torch.load(self.path / _STATE, map_location="cpu", weights_only=True, mmap=True)
        weights: dict[str, Tensor] = state.get("average") or state["module"]
        return weights

    def keep_snapshot(self, step: int) -> None:
        """Copy the model as it is after ``step`` steps; the copy appears whole."""
        target = self.path / SNAPSHOTS / snapshot_name(step)
        with replacing_folder(target) as partial:
            shutil.copytree(self.model, partial, dirs_exist_ok=True)

    def require_same_recipe(self, recipe: Recipe) -> None:
        """Pass a recipe that continues what the run began.

        Only the number of steps and what the loop table says of the work, the seed excepted, may
        differ.

        Raises
        ------
        DataError
            Naming the first table that does.
        """
        began = load_recipe(self.path / _RECIPE)
        before, now = _that_must_stay(began), _that_must_stay(recipe)
        for table in before:
            if before[table] != now[table]:
                raise DataError(
                    f"{self.path}: the run began with another {table!r} in its recipe; resume with "
                    f"--recipe {self.path / _RECIPE}, or give another --out"
                )

    def write_inputs(self, recipe: Recipe, data: Mapping[str, Any]) -> None:
        """Keep the recipe with every default filled in, and hashes and counts of the data."""
        import tomli_w

        write_text(self.path / _RECIPE, tomli_w.dumps(recipe.to_plain()))
        write_text(self.path / _DATA, json.dumps(dict(data), indent=2) + "\n")

    def require_same_data(self, data: Mapping[str, Any]) -> None:
        """Pass the data that the run began with: its order and crops hang on it.

        Raises
        ------
        DataError
            Naming what differs.
        """
        file = self.path / _DATA
        began = json.loads(file.read_text("utf-8")) if file.is_file() else SIMULATED
        changed = sorted(key for key in {*began, *data} if began.get(key) != data.get(key))
        if changed:
            raise DataError(
                f"{self.path}: the run began with other data ({', '.join(changed)} differ; it was "
                f"{began['kind']}, now {data['kind']}); resume with the --data it began with, or "
                "give another --out"
            )

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
                "world_size": fabric.world_size,
                "device": _device_name(fabric.device),
                "python": platform.python_version(),
                "packages": {name: version(name) for name in _PACKAGES},
                "studies": studies,
            }
        )
        write_text(file, json.dumps(known, indent=2) + "\n")


def _that_must_stay(recipe: Recipe) -> dict[str, Any]:
    plain = recipe.model_dump()
    plain["loop"] = {"seed": plain["loop"]["seed"]}
    del plain["optimizer"]["steps"], plain["data"]["workers"]
    return plain


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type

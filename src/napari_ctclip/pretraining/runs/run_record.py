"""Run record: what a training's folder says so far, read while it grows; needs no torch."""

from __future__ import annotations

import csv
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import DataError
from napari_ctclip.pretraining.runs.run_status import (
    OUTPUT_FILE,
    STATUS_FILE,
    RunState,
    RunStatus,
    status_of,
)

__all__ = ["SNAPSHOTS", "RunReader", "RunRecord", "Snapshot", "snapshot_name", "thinned"]

SNAPSHOTS = "snapshots"
"""Folder in a run's folder: one model folder every ``loop.snapshot_every`` steps."""

_METRICS, _RECIPE, _MODEL = "metrics.csv", "recipe.toml", "model"
_SIGNS = (_METRICS, _RECIPE, STATUS_FILE, OUTPUT_FILE)
_SNAPSHOT = re.compile(r"^step_(\d+)$")
_NOT_TERMS = ("loss", "gradient_norm", "learning_rate", "seconds", "waited", "elapsed", "scale")
_RECENT = 50  # steps that the speed is the median of

Floats = npt.NDArray[np.float64]


def snapshot_name(step: int) -> str:
    """Return the name of the folder of a snapshot after ``step`` steps."""
    return f"step_{step:07d}"


@dataclass(frozen=True)
class Snapshot:
    """A model as it was after some steps.

    Attributes
    ----------
    step : int
        Steps done; 0 for the newest model.
    folder : Path
        The folder of the model.
    """

    step: int
    folder: Path


@dataclass(frozen=True, eq=False)
class RunRecord:
    """What a run's folder says.

    Attributes
    ----------
    folder : Path
        The folder of the run.
    method : str
        By its recipe; empty where there is none yet.
    steps : int
        How many it will take; 0 where that is not known.
    metrics : mapping of str to ndarray, shape (N,), float64
        A column each; ``step`` counts from 0. A cell that is no number is NaN.
    status : RunStatus
        Whether it runs.
    snapshots : tuple of Snapshot
        Earliest first; the newest model last.
    prompts : tuple of str
        What the recipe suggests to ask its model.
    """

    folder: Path
    method: str
    steps: int
    metrics: Mapping[str, Floats]
    status: RunStatus
    snapshots: tuple[Snapshot, ...]
    prompts: tuple[str, ...] = ()

    @property
    def done(self) -> int:
        """Steps done."""
        steps = self.metrics.get("step")
        return 0 if steps is None or not len(steps) else int(steps[-1]) + 1

    @property
    def terms(self) -> tuple[str, ...]:
        """Columns of the loss's terms: the loss alone where it has one term."""
        named = tuple(n for n in self.metrics if n not in ("step", *_NOT_TERMS))
        return ("loss", *named) if "loss" in self.metrics and len(named) > 1 else named or ("loss",)

    @property
    def step_seconds(self) -> Floats:
        """Seconds of every step, shape (N,)."""
        if "seconds" in self.metrics:
            return self.metrics["seconds"]
        elapsed = self.metrics.get("elapsed")
        if elapsed is None or not len(elapsed):
            return np.empty(0)
        passed = np.diff(elapsed, prepend=np.nan)
        return np.where(passed >= 0, passed, np.nan)  # a resumed run counts anew

    @property
    def recent_seconds(self) -> float:
        """Median seconds of the last steps; NaN before there is any."""
        recent = self.step_seconds[-_RECENT:]
        return float(np.nanmedian(recent)) if np.isfinite(recent).any() else math.nan

    @property
    def remaining_s(self) -> float:
        """Seconds to the last step at the speed of the last ones; NaN where not known."""
        return self.recent_seconds * (self.steps - self.done) if self.steps else math.nan


@dataclass
class _Table:
    """The columns read so far, and where to read on."""

    columns: list[str] = field(default_factory=list)
    values: list[list[float]] = field(default_factory=list)
    offset: int = 0
    last: bytes = b""


class RunReader:
    """Reads a run's folder again and again; of ``metrics.csv`` only what is new.

    Parameters
    ----------
    folder : Path
        The folder of the run.

    Raises
    ------
    DataError
        If there is no such folder, or no run in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._table = _Table()
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; give the --out folder of a training")
        if not any((folder / name).is_file() for name in _SIGNS):
            raise DataError(
                f"{folder} is no run: expected one of {', '.join(_SIGNS)} in it; give the --out "
                "folder of napari-ctclip-train"
            )

    def read(self) -> RunRecord:
        """Return what the folder says now.

        Raises
        ------
        DataError
            If the folder is gone, or ``metrics.csv`` cannot be read.
        """
        if not self.folder.is_dir():
            raise DataError(f"{self.folder}: the folder of the run is gone")
        try:
            self._read_on()
        except FileNotFoundError:
            self._table = _Table()
        except OSError as error:
            raise DataError(f"{self.folder / _METRICS} cannot be read: {error}") from error
        recipe = _recipe_of(self.folder)
        record = RunRecord(
            folder=self.folder,
            method=str(recipe.get("method", "")),
            steps=_steps_of(recipe),
            metrics=_columns_of(self._table),
            status=status_of(self.folder),
            snapshots=_snapshots_of(self.folder),
            prompts=tuple(recipe.get("model", {}).get("suggested_prompts", ())),
        )
        return record if record.status.state != RunState.UNKNOWN else _guessed(record)

    def _read_on(self) -> None:
        """Take in the whole lines that came since; begin anew where the file was written anew."""
        table = self._table
        with (self.folder / _METRICS).open("rb") as stream:
            stream.seek(max(0, table.offset - len(table.last)))
            if stream.read(len(table.last)) != table.last:
                self._table = table = _Table()
                stream.seek(0)
            fresh = stream.read()
        whole = fresh[: fresh.rfind(b"\n") + 1]  # the last line may be half written
        if not whole:
            return
        table.offset += len(whole)
        table.last = whole[whole.rfind(b"\n", 0, -1) + 1 :]
        for row in csv.reader(whole.decode("utf-8", "replace").splitlines()):
            if not table.columns:
                table.columns = row
            elif len(row) == len(table.columns) and row[0].isdigit():
                table.values.append([_number(cell) for cell in row])


def thinned(x: Floats, y: Floats, *, most: int) -> tuple[Floats, Floats]:
    """Return a curve of at most ``most`` points: means of neighbouring ones, NaN left out.

    Parameters
    ----------
    x, y : ndarray, shape (N,)
        The curve.
    """
    keep = np.isfinite(y)
    x, y = x[keep], y[keep]
    size = math.ceil(len(x) / most)
    if size <= 1:
        return x, y
    starts = np.arange(0, len(x), size)
    counts = np.diff(np.append(starts, len(x)))
    return np.add.reduceat(x, starts) / counts, np.add.reduceat(y, starts) / counts


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _columns_of(table: _Table) -> dict[str, Floats]:
    if not table.columns:
        return {}
    values = np.array(table.values, dtype=np.float64).reshape(-1, len(table.columns))
    return {name: values[:, i] for i, name in enumerate(table.columns)}


def _recipe_of(folder: Path) -> dict[str, Any]:
    try:
        return tomllib.loads((folder / _RECIPE).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}


def _steps_of(recipe: Mapping[str, Any]) -> int:
    for table in ("optimizer", "training"):
        steps = recipe.get(table, {}).get("steps")
        if isinstance(steps, int):
            return steps
    return 0


def _snapshots_of(folder: Path) -> tuple[Snapshot, ...]:
    found = []
    if (folder / SNAPSHOTS).is_dir():
        for path in (folder / SNAPSHOTS).iterdir():
            match = _SNAPSHOT.match(path.name)
            if match is not None and path.is_dir():
                found.append(Snapshot(int(match[1]), path))
    found.sort(key=lambda snapshot: snapshot.step)
    newest = [Snapshot(0, folder / _MODEL)] if (folder / _MODEL).is_dir() else []
    return (*found, *newest)


def _guessed(record: RunRecord) -> RunRecord:
    """Return a run of before there were status files, judged by its steps."""
    if record.steps and record.done >= record.steps:
        return replace(record, status=RunStatus(RunState.FINISHED))
    return replace(record, status=RunStatus(RunState.UNKNOWN, "it keeps no status file"))

"""Run process: a training as a process of its own, which outlives the window that started it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_ctclip.core.errors import DataError
from napari_ctclip.pretraining.runs.run_status import OUTPUT_FILE, note_running, process_of

__all__ = ["TrainingCommand", "method_of", "start_training", "stop_training"]

_STATE = "state.pt"


@dataclass(frozen=True)
class TrainingCommand:
    """One ``napari-ctclip-train`` command.

    Attributes
    ----------
    method : str
        Which training.
    out : Path
        Folder of the run.
    recipe : Path or None
        Another recipe file than the shipped one.
    data : Path or None
        A manifest or prepared set; simulated studies if None.
    overrides : tuple of str
        ``table.key=value``.
    resume : bool
        Go on where the run in ``out`` stopped.
    """

    method: str
    out: Path
    recipe: Path | None = None
    data: Path | None = None
    overrides: tuple[str, ...] = ()
    resume: bool = False

    @property
    def arguments(self) -> list[str]:
        """What is typed after ``napari-ctclip-train``."""
        words = [self.method, "--out", str(self.out)]
        words += [] if self.recipe is None else ["--recipe", str(self.recipe)]
        words += [] if self.data is None else ["--data", str(self.data)]
        for override in self.overrides:
            words += ["--set", override]
        return [*words, "--resume"] if self.resume else words


def start_training(command: TrainingCommand) -> subprocess.Popen[bytes]:
    """Start a training that outlives this process; what it prints goes to its folder.

    Raises
    ------
    DataError
        If the folder cannot be used, holds a run already, or one works on it.
    """
    out = command.out
    if process_of(out) is not None:
        raise DataError(f"{out}: a training works on this run already; stop it first")
    has_run = (out / _STATE).is_file()
    if has_run and not command.resume:
        raise DataError(f"{out} holds a run already; resume it, or choose another folder")
    if command.resume and not has_run:
        raise DataError(f"{out}: no checkpoint to resume; start it instead")
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS
        apart = {"creationflags": flags}
    try:
        out.mkdir(parents=True, exist_ok=True)
        with (out / OUTPUT_FILE).open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "napari_ctclip.cli.train", *command.arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"NO_COLOR": "1", "PYTHONUNBUFFERED": "1"},
                **apart,
            )
    except OSError as error:
        raise DataError(f"{out}: the training cannot be started there: {error}") from error
    note_running(out, process.pid)
    return process


def stop_training(folder: Path) -> None:
    """Tell the training of a run to save and stop (SIGTERM); on Windows it ends without saving.

    Raises
    ------
    DataError
        If none works on it on this computer.
    """
    process = process_of(folder)
    if process is None:
        raise DataError(f"{folder}: no training of this run works on this computer")
    process.terminate()


def method_of(recipe: Path) -> str:
    """Return the method that a recipe file names.

    Raises
    ------
    DataError
        If it cannot be read or names none.
    """
    try:
        named = tomllib.loads(recipe.read_text("utf-8")).get("method")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{recipe} cannot be read as a recipe: {error}") from error
    if not isinstance(named, str):
        raise DataError(f'{recipe} names no method; a recipe begins with method = "..."')
    return named

"""Run status: whether a training runs, stopped, finished or failed, and why; needs no torch."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import psutil

from napari_ctclip.core.errors import UnwritableFile
from napari_ctclip.io.files import write_text

__all__ = [
    "OUTPUT_FILE",
    "STATUS_FILE",
    "RunState",
    "RunStatus",
    "note_running",
    "noted_status",
    "output_tail",
    "process_of",
    "status_of",
]

_LOG = logging.getLogger(__name__)

STATUS_FILE = "status.json"
"""In a run's folder: its state; while it runs, which process it is."""

OUTPUT_FILE = "output.log"
"""In a run's folder: what a training that was started from the window printed."""

_QUIET_S = 300.0  # Ours: a run elsewhere that writes nothing for longer is taken for dead
_TAIL_BYTES, _TAIL_LINES = 8192, 3
_SAME_BOOT_S = 5.0
_UNSEEN = "its process cannot be seen from this computer"
_GONE = "its process is gone without a word (killed, or the computer was switched off)"


class RunState(StrEnum):
    """The words the user reads."""

    RUNNING = "running"
    STOPPED = "stopped"
    FINISHED = "finished"
    FAILED = "failed"
    LOST = "ended without a word"
    UNKNOWN = "not known"


@dataclass(frozen=True)
class RunStatus:
    """What a run is doing.

    Attributes
    ----------
    state : RunState
        In a word.
    why : str
        Why, where there is something to say.
    """

    state: RunState
    why: str = ""


@contextmanager
def noted_status(
    folder: Path, *, stopped: type[BaseException] = KeyboardInterrupt, write: bool = True
) -> Iterator[None]:
    """Keep a run's status file while the work inside lasts.

    Parameters
    ----------
    folder : Path
        The folder of the run.
    stopped : type of exception
        What is raised where the work was told to stop.
    write : bool
        False on all processes but one.
    """
    if not write:
        yield
        return
    note_running(folder, os.getpid())
    try:
        yield
    except BaseException as error:
        was_told = isinstance(error, (stopped, KeyboardInterrupt))
        state = RunState.STOPPED if was_told else RunState.FAILED
        _note(folder, {"state": state.name, "why": _first_line(error)})
        raise
    _note(folder, {"state": RunState.FINISHED.name, "why": ""})


def note_running(folder: Path, pid: int) -> None:
    """Write that a process works on a run; no name of a machine or user is kept."""
    try:
        began = psutil.Process(pid).create_time()
    except psutil.Error:  # gone already
        began = 0.0
    process = {"pid": pid, "began": began, "boot": psutil.boot_time()}
    _note(folder, {"state": RunState.RUNNING.name, "why": "", "process": process})


def status_of(folder: Path) -> RunStatus:
    """Return what a run is doing, by its status file and the processes of this computer."""
    noted = _read(folder)
    if noted is None:
        return RunStatus(RunState.UNKNOWN)
    try:
        state = RunState[noted["state"]]
    except KeyError:
        return RunStatus(RunState.UNKNOWN, f"{folder / STATUS_FILE} cannot be read")
    if state != RunState.RUNNING:
        return RunStatus(state, str(noted.get("why", "")))
    if process_of(folder) is not None:
        return RunStatus(state)
    if not _is_of_this_boot(noted) and _quiet_for(folder) < _QUIET_S:
        return RunStatus(state, _UNSEEN)
    last = output_tail(folder)
    if last and last[-1].startswith("error:"):
        return RunStatus(RunState.FAILED, last[-1].removeprefix("error:").strip())
    return RunStatus(
        RunState.LOST, "; last output: ".join([_GONE, *([" ".join(last)] * bool(last))])
    )


def process_of(folder: Path) -> psutil.Process | None:
    """Return the process that works on a run, if it runs on this computer."""
    noted = _read(folder)
    if noted is None or noted.get("state") != RunState.RUNNING.name:
        return None
    try:
        process = psutil.Process(int(noted["process"]["pid"]))
        # numbers of processes are used again
        same = abs(process.create_time() - float(noted["process"]["began"])) < 1.0
        alive = same and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, KeyError, TypeError, ValueError):
        return None
    return process if alive else None


def output_tail(folder: Path) -> tuple[str, ...]:
    """Return the last lines that a run started from the window printed."""
    try:
        with (folder / OUTPUT_FILE).open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = stream.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ()
    return tuple(line.strip() for line in lines if line.strip(" \t│╭╰─╮╯"))[-_TAIL_LINES:]


def _first_line(error: BaseException) -> str:
    from napari_ctclip.core.errors import CtClipError

    lines = str(error).strip().splitlines()
    if isinstance(error, CtClipError) and lines:
        return lines[0]
    return ": ".join([type(error).__name__, *lines[:1]])


def _is_of_this_boot(noted: dict[str, Any]) -> bool:
    with suppress(KeyError, TypeError, ValueError):
        return bool(abs(float(noted["process"]["boot"]) - psutil.boot_time()) < _SAME_BOOT_S)
    return False


def _quiet_for(folder: Path) -> float:
    """Return for how many seconds a run has written nothing."""
    newest = 0.0
    for name in (STATUS_FILE, "metrics.csv"):
        with suppress(OSError):
            newest = max(newest, (folder / name).stat().st_mtime)
    return time.time() - newest


def _read(folder: Path) -> dict[str, Any] | None:
    try:
        noted = json.loads((folder / STATUS_FILE).read_text("utf-8"))
    except OSError:
        return None
    except ValueError:
        return {}
    return noted if isinstance(noted, dict) else {}


def _note(folder: Path, status: dict[str, Any]) -> None:
    """Write the status whole; a training does not end because it cannot be written."""
    try:
        write_text(folder / STATUS_FILE, json.dumps(status, indent=2) + "\n")
    except UnwritableFile as error:
        _LOG.warning("%s", error)

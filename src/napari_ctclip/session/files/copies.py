"""Copies of a session: what a running window saves by itself, and a file put elsewhere."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from platformdirs import user_state_path

from napari_ctclip.core.errors import DataError
from napari_ctclip.io.files import replacing

__all__ = [
    "SUFFIX",
    "autosave_folder",
    "autosave_path",
    "copy_session",
    "describe_if_not_written",
    "left_behind",
]

SUFFIX = ".ctclip.zip"
"""How the name of a session file ends."""

_NAME = re.compile(rf"(\d+)-(\d+)-\w+{re.escape(SUFFIX)}")
_SAME_START_S = 2


def autosave_folder() -> Path:
    """Return the folder of autosaves: the user's state folder."""
    return user_state_path("napari-ctclip", appauthor=False) / "autosave"


def autosave_path(folder: Path, window: str) -> Path:
    """Return where a window of this process keeps its session.

    Parameters
    ----------
    folder : Path
        The folder of autosaves.
    window : str
        What tells the windows of one process apart: letters and digits.
    """
    started = round(psutil.Process().create_time())
    return folder / f"{os.getpid()}-{started}-{window}{SUFFIX}"


def left_behind(folder: Path) -> list[Path]:
    """Return autosaves whose process is gone, newest first."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if _is_orphan(path)]
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def _is_orphan(path: Path) -> bool:
    parts = _NAME.fullmatch(path.name)
    if parts is None:
        return False
    try:
        started = psutil.Process(int(parts[1])).create_time()
    except psutil.Error:
        return True
    # another process may have been given the number since
    return bool(abs(started - int(parts[2])) > _SAME_START_S)


def copy_session(source: Path, path: Path) -> Path:
    """Write a session file that lies elsewhere to a path.

    Raises
    ------
    DataError
        If it cannot be read, or the folder takes no file; an older file of that name is then as it
        was.
    """
    with describe_if_not_written(path), replacing(path) as partial:
        shutil.copyfile(source, partial)
    return path


@contextmanager
def describe_if_not_written(path: Path) -> Iterator[None]:
    """Tell in one line that a session file cannot be written."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{path}: the session could not be saved ({error.strerror or error}); make room or "
            "choose another folder. Nothing else is lost."
        ) from error

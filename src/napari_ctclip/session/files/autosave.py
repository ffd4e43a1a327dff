"""Autosave: where a running window keeps its session, and what a window that crashed left."""

from __future__ import annotations

import os
import re
from pathlib import Path

import psutil
from platformdirs import user_state_path

from napari_ctclip.session.files.archive import SUFFIX

__all__ = ["autosave_folder", "autosave_path", "left_behind"]

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

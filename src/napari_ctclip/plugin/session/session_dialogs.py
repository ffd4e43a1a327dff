"""Session dialogs: where a session is saved to, and which one is opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QWidget

from napari_ctclip.session.files.archive import SUFFIX

if TYPE_CHECKING:
    from napari_ctclip.plugin.shell.workbench import Workbench

__all__ = ["ask_open_session", "ask_save_session", "chosen_session_file"]

_FILES = f"Sessions (*{SUFFIX})"


def ask_save_session(bench: Workbench, parent: QWidget | None) -> None:
    """Ask for a file and save the session to it.

    Raises
    ------
    CtClipError
        If no study is open.
    """
    bench.sessions.state()  # before anybody is asked
    path = chosen_session_file(parent, "Save session", name=bench.sessions.name)
    if path is not None:
        bench.sessions.save(path)


def ask_open_session(bench: Workbench, parent: QWidget | None) -> None:
    """Ask for a session file and open it."""
    path, _ = QFileDialog.getOpenFileName(parent, "Open session", "", _FILES)
    if path:
        bench.sessions.open(Path(path))


def chosen_session_file(parent: QWidget | None, title: str, *, name: str) -> Path | None:
    """Ask where to save; None if the user thought better of it."""
    path, _ = QFileDialog.getSaveFileName(parent, title, f"{name}{SUFFIX}", _FILES)
    return Path(path) if path else None

"""Session controls: where a session is saved, which one is opened, what a crash left behind."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_ctclip.plugin.widgets.panel_parts import push_button, sentence
from napari_ctclip.session.files.archive import SUFFIX

if TYPE_CHECKING:
    from napari_ctclip.plugin.session.autosave_flow import AutosaveFlow
    from napari_ctclip.plugin.session.session_flow import OpenedSession, SessionFlow
    from napari_ctclip.plugin.window.messages import Messages

__all__ = [
    "RecoveryBox",
    "SessionButtons",
    "ask_open_session",
    "ask_save_session",
    "chosen_session_file",
]

_FILES = f"Sessions (*{SUFFIX})"
_UNSAVED = "Not all is in a session file yet; a copy is kept in case of a crash."


class SessionButtons(QWidget):
    """The buttons that save and open sessions, and whether there is something to save.

    Parameters
    ----------
    sessions : SessionFlow
        What is saved and opened.
    messages : Messages
        Where the user reads what goes wrong.
    parent : QWidget or None
        Where it stands.
    """

    def __init__(
        self, sessions: SessionFlow, *, messages: Messages, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._sessions, self._messages = sessions, messages
        self.unsaved = sentence(_UNSAVED)
        self.save = push_button("Save session…", "Scan, prompts, view and findings in one file")
        self.open = push_button("Open session…", "Resume where a session was saved")
        layout = QGridLayout(self)
        layout.setContentsMargins(4, 0, 4, 4)
        layout.addWidget(self.unsaved, 0, 0, 1, 2)
        layout.addWidget(self.save, 1, 0)
        layout.addWidget(self.open, 1, 1)
        self.save.clicked.connect(self._save)
        self.open.clicked.connect(self._open)
        sessions.changed.connect(self._show_state)
        sessions.scan_moved.connect(self._ask_scan)
        self._show_state()

    def _save(self) -> None:
        with self._messages.border():
            ask_save_session(self._sessions, self)

    def _open(self) -> None:
        with self._messages.border():
            ask_open_session(self._sessions, self)

    def _ask_scan(self, opened: OpenedSession) -> None:
        """Ask where the scan of a session lies now, and open the session with it."""
        lay = opened.saved.scan.path
        title = f"Where is {Path(lay).name} now?"
        if opened.saved.scan.series is None:
            found, _ = QFileDialog.getOpenFileName(self, title, str(opened.path.parent))
        else:
            found = QFileDialog.getExistingDirectory(self, title, str(opened.path.parent))
        if found:
            with self._messages.border():
                self._sessions.open(opened.path, scan=Path(found))

    def _show_state(self) -> None:
        self.unsaved.setVisible(self._sessions.is_unsaved)


class RecoveryBox(QWidget):
    """What a window left behind when it ended; shown only while there is something to recover.

    Parameters
    ----------
    autosave : AutosaveFlow
        Whose autosaves are offered.
    messages : Messages
        Where the user reads what goes wrong.
    parent : QWidget or None
        Where it stands.
    """

    def __init__(
        self, autosave: AutosaveFlow, *, messages: Messages, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._autosave, self._messages = autosave, messages
        self._path: Path | None = None
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.recover = push_button("Recover", "Open the scan with what was not saved")
        self.discard = push_button("Discard", "Delete what was left behind")
        buttons = QHBoxLayout()
        buttons.addWidget(self.recover)
        buttons.addWidget(self.discard)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 6, 4, 0)
        layout.addWidget(self.text)
        layout.addLayout(buttons)
        self.recover.clicked.connect(self._recover)
        self.discard.clicked.connect(self._discard)
        autosave.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Look for what windows left behind."""
        left = self._autosave.left_behind()
        self._path = left[0] if left else None
        self.setVisible(bool(left))
        if self._path is not None:
            when = datetime.fromtimestamp(self._path.stat().st_mtime)
            others = f" ({len(left) - 1} older too)" if len(left) > 1 else ""
            self.text.setText(
                f"A window ended with unsaved findings or a report on {when:%d %b %H:%M}{others}."
            )

    def _recover(self) -> None:
        if self._path is not None:
            self.hide()
            with self._messages.border():
                self._autosave.recover(self._path)

    def _discard(self) -> None:
        if self._path is not None:
            with self._messages.border():
                self._autosave.discard(self._path)


def ask_save_session(sessions: SessionFlow, parent: QWidget | None) -> None:
    """Ask for a file and save the session to it.

    Raises
    ------
    CtClipError
        If no study is open.
    """
    sessions.state()  # before anybody is asked
    path = chosen_session_file(parent, "Save session", name=sessions.name)
    if path is not None:
        sessions.save(path)


def ask_open_session(sessions: SessionFlow, parent: QWidget | None) -> None:
    """Ask for a session file and open it."""
    path, _ = QFileDialog.getOpenFileName(parent, "Open session", "", _FILES)
    if path:
        sessions.open(Path(path))


def chosen_session_file(parent: QWidget | None, title: str, *, name: str) -> Path | None:
    """Ask where to save; None if the user thought better of it."""
    path, _ = QFileDialog.getSaveFileName(parent, title, f"{name}{SUFFIX}", _FILES)
    return Path(path) if path else None

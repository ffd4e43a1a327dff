"""Autosave flow: findings that no session file holds are kept, and offered after a crash."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from psygnal import Signal
from qtpy.QtCore import QObject, QTimer

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.plugin._compat import setting
from napari_ctclip.plugin.background import Job, JobQueue
from napari_ctclip.plugin.messages import Messages
from napari_ctclip.plugin.session_flow import SessionFlow
from napari_ctclip.session_files.autosave import autosave_folder, autosave_path, left_behind

__all__ = ["AutosaveFlow"]

_EVERY_MS = 120_000
_SOON_MS = 2_000  # after a finding changed; a stroke of the brush is several changes


class AutosaveFlow(QObject):
    """The autosave of one window, in the user's state folder.

    Parameters
    ----------
    sessions : SessionFlow
        What is kept.
    messages : Messages
        Where the user reads that it cannot be kept.
    parent : QObject
        The workbench.
    """

    changed = Signal()
    """What windows left behind is fewer."""

    def __init__(self, sessions: SessionFlow, *, messages: Messages, parent: QObject) -> None:
        super().__init__(parent)
        self._sessions, self._messages = sessions, messages
        self.jobs = JobQueue(messages, self)  # its own: an autosave waits for no encoding
        self._replaces: Path | None = None
        self._failed = False
        self._timer, self._soon = QTimer(self), QTimer(self)
        self._timer.setInterval(_EVERY_MS)
        self._soon.setInterval(_SOON_MS)
        self._soon.setSingleShot(True)
        for timer in (self._timer, self._soon):
            timer.timeout.connect(self.keep)
        self._timer.start()
        sessions.changed.connect(self._on_changed)

    @property
    def path(self) -> Path:
        """Where this window's autosave lies, if there is one."""
        return autosave_path(autosave_folder(), f"w{id(self):x}")

    def left_behind(self) -> list[Path]:
        """Return autosaves of windows that are gone, newest first."""
        return left_behind(autosave_folder())

    def recover(self, path: Path) -> None:
        """Open what a window left behind; the file goes once this window has its own autosave."""

        def then() -> None:
            self._replaces = path
            self._sessions.mark_unsaved()

        self._sessions.open(path, then=then)

    def discard(self, path: Path) -> None:
        """Delete what a window left behind."""
        path.unlink(missing_ok=True)
        self.changed.emit()

    def keep(self) -> None:
        """Write the autosave in the background, if there is something unsaved."""
        wanted = self._sessions.is_unsaved and setting("autosave", default=True)
        if not wanted or not self.jobs.is_idle:
            return
        state, path, replaced = self._sessions.state(), self.path, self._replaces

        def work(progress: Any, should_stop: Any) -> Path:
            from napari_ctclip.session_files.archive import write_session

            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise CtClipError(
                    f"{path.parent}: no autosave can be kept there ({error.strerror or error}); "
                    "save the session yourself. Nothing in the window is lost."
                ) from error
            return write_session(state, path)

        def done(written: Path) -> None:
            self._failed, self._replaces = False, None
            if replaced is not None:
                self.discard(replaced)

        def on_error(error: Exception) -> bool:
            was, self._failed = self._failed, True
            return was  # said once, not every two minutes

        self.jobs.submit(Job("Autosave", work, done, on_error=on_error))

    def close(self) -> None:
        """End with the window: what is unsaved stays, and is offered at the next start."""
        self._timer.stop()
        self._soon.stop()
        self.jobs.close()
        if not self._sessions.is_unsaved:
            self._forget()

    def _on_changed(self) -> None:
        if self._sessions.is_unsaved:
            self._soon.start()
        elif self.jobs.is_idle:
            self._forget()

    def _forget(self) -> None:
        with suppress(OSError):  # a folder that takes no files holds none either
            self.path.unlink(missing_ok=True)

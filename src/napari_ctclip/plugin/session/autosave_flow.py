"""Autosave flow: what no session file holds is kept, and offered after a crash.

Each scan of a window has its own file: opening another scan must not cost the one before.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from psygnal import Signal
from qtpy.QtCore import QObject, QTimer

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.plugin.session.session_flow import SessionFlow
from napari_ctclip.plugin.window.jobs import Job, JobQueue
from napari_ctclip.plugin.window.messages import Messages
from napari_ctclip.plugin.window.settings import setting
from napari_ctclip.session.files.copies import autosave_folder, autosave_path, left_behind

if TYPE_CHECKING:
    from napari_ctclip.session.files.archive import SessionState

__all__ = ["AutosaveFlow"]

_LOG = logging.getLogger(__name__)

_EVERY_MS = 120_000
_SOON_MS = 2_000  # after a finding changed; a stroke of the brush is several changes
_PLACE = 16  # letters of the scan's fingerprint


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
        self._held: dict[Path, SessionState] = {}  # not written yet, by file
        self._unsaved: set[Path] = set()  # files that must stay
        self._replaces: dict[Path, Path] = {}  # what was recovered, by the file that takes over
        self._writing = Lock()  # the close of the window and a worker use one partial file
        self._failed = self._abandoned = False
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
        """Where this window's autosave of the open scan lies, if there is one."""
        return self._path_of(self._sessions.place)

    def source_of(self, place: str) -> SessionState | Path:
        """Return what is kept of an unsaved scan of this window, not written yet or as a file."""
        path = self._path_of(place)
        return self._held.get(path, path)

    def left_behind(self) -> list[Path]:
        """Return autosaves of windows that are gone, newest first."""
        return left_behind(autosave_folder())

    def recover(self, path: Path) -> None:
        """Open what a window left behind; the file goes once this window has its own autosave."""

        def then() -> None:
            self._replaces[self.path] = path
            self._sessions.mark_unsaved()

        self._sessions.open(path, then=then)

    def discard(self, path: Path) -> None:
        """Delete what a window left behind."""
        path.unlink(missing_ok=True)
        self.changed.emit()

    def keep(self) -> None:
        """Write what is unsaved in the background, if there is anything."""
        self._hold()
        self._write_next()

    def close(self) -> None:
        """End with the window: what is unsaved stays, and is offered at the next start."""
        self._timer.stop()
        self._soon.stop()
        self.jobs.close()
        held = self._held if _is_wanted() else {}
        for path, state in held.items():  # the last seconds; no window is left to block
            try:
                self._write(state, path)
            except CtClipError as error:  # nobody is left to be told
                _LOG.error("%s", error)

    def abandon(self) -> None:
        """End with the window and keep nothing: the user said so."""
        self._timer.stop()
        self._soon.stop()
        self.jobs.close()
        with self._writing:  # a worker may be about to put its file in place
            self._abandoned = True
            for path in list(self._unsaved):
                self._forget(path)

    # --- inside ---------------------------------------------------------------------------------

    def _path_of(self, place: str) -> Path:
        return autosave_path(autosave_folder(), f"w{id(self):x}_{place[:_PLACE]}")

    def _on_changed(self) -> None:
        if self._sessions.is_unsaved:
            self._hold()  # now: in two seconds another scan may be open
            self._soon.start()
        else:
            self._forget(self.path)
        unsaved = {self._path_of(scan.place) for scan in self._sessions.unsaved.scans}
        for path in self._unsaved - unsaved:  # another scan's, saved before the window closes
            self._forget(path)

    def _hold(self) -> None:
        """Hold what is unsaved until it is written; until it is saved where nothing is written."""
        if self._sessions.is_unsaved:
            self._held[self.path] = self._sessions.state()
            self._unsaved.add(self.path)

    def _write_next(self) -> None:
        if not self._held or not self.jobs.is_idle or not _is_wanted():
            return
        path, state = next(iter(self._held.items()))

        def done(written: Path) -> None:
            self._failed = False
            if self._held.get(path) is state:
                del self._held[path]
            replaced = self._replaces.pop(path, None)
            if replaced is not None:
                self.discard(replaced)
            if path not in self._unsaved:  # saved meanwhile
                self._forget(path)
            self._write_next()

        def on_error(error: Exception) -> bool:
            was, self._failed = self._failed, True
            return was  # said once, not every two minutes

        def work(progress: Any, should_stop: Any) -> Path:
            return self._write(state, path)

        self.jobs.submit(Job("Autosave", work, done, on_error=on_error))

    def _write(self, state: SessionState, path: Path) -> Path:
        from napari_ctclip.session.files.archive import write_session

        with self._writing:
            if self._abandoned:
                return path
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise CtClipError(
                    f"{path.parent}: no autosave can be kept there ({error.strerror or error}); "
                    "save the session yourself. Nothing else is lost."
                ) from error
            return write_session(state, path)

    def _forget(self, path: Path) -> None:
        self._unsaved.discard(path)
        self._held.pop(path, None)
        with suppress(OSError):  # a folder that takes no files holds none either
            path.unlink(missing_ok=True)


def _is_wanted() -> bool:
    return bool(setting("autosave", default=True))

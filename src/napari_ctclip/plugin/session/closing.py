"""Closing: before a window goes, the user is asked what becomes of unsaved findings.

Only a window that a person closes asks (its button, *File > Close Window*, *Exit*); a script's
``viewer.close()`` has taken napari's canvas away by then and cannot be held up.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QMessageBox, QWidget

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.plugin.canvas._compat import is_going, quits_program
from napari_ctclip.plugin.session.autosave_flow import AutosaveFlow
from napari_ctclip.plugin.session.session_controls import chosen_session_file
from napari_ctclip.plugin.session.session_flow import SessionFlow
from napari_ctclip.plugin.session.unsaved_scans import UnsavedScan
from napari_ctclip.plugin.window.messages import Messages
from napari_ctclip.plugin.window.settings import setting

if TYPE_CHECKING:
    from napari.viewer import Viewer
    from qtpy.QtWidgets import QMainWindow

__all__ = ["ClosingGuard"]

_COPY = "“Don’t save” deletes what is unsaved, and the copy kept in case of a crash."


class ClosingGuard(QObject):
    """Holds a window that is closed while findings are in no session file.

    Parameters
    ----------
    viewer : Viewer
        Its viewer.
    window : QMainWindow
        The window.
    sessions, autosave : SessionFlow, AutosaveFlow
        What is saved, and what is kept of scans that were open before.
    messages : Messages
        Where the user reads what happens.
    """

    def __init__(
        self,
        viewer: Viewer,
        window: QMainWindow,
        *,
        sessions: SessionFlow,
        autosave: AutosaveFlow,
        messages: Messages,
    ) -> None:
        super().__init__(window)
        self._viewer = viewer
        self._sessions, self._autosave, self._messages = sessions, autosave, messages
        self.question: QMessageBox | None = None
        """What is asked now; it blocks nothing but the window."""
        self._may_go = self._quits = False
        window.installEventFilter(self)

    def _window(self) -> Any:
        return self.parent()  # a reference of its own would keep the window alive

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Hold the window back while there is something to ask."""
        if event is None or event.type() != QEvent.Type.Close or watched is not self.parent():
            return False
        if self._may_go or is_going(self._viewer):
            return False
        self._window().setFocus()  # a note that is being written counts
        if not self._sessions.unsaved.scans or not setting("ask_before_closing", default=True):
            return False
        event.ignore()
        self._quits = quits_program(self._window(), False) or self._quits
        self._ask()
        return True

    # --- the question ---------------------------------------------------------------------------

    def _ask(self) -> None:
        if self.question is not None:
            self.question.raise_()
            return
        scans = self._sessions.unsaved.scans
        box = QMessageBox(self._window())
        box.setIcon(QMessageBox.Icon.Warning)
        box.setWindowTitle("Unsaved findings")
        box.setText(_words(scans))
        box.setInformativeText(_COPY)
        save = box.addButton("Save…", QMessageBox.ButtonRole.AcceptRole)
        leave = box.addButton("Don’t save", QMessageBox.ButtonRole.DestructiveRole)
        stay = box.addButton("Cancel", QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(save)
        box.setEscapeButton(stay)
        box.finished.connect(lambda *_: self._answer(box, save=save, leave=leave))
        self.question = box
        box.open()

    def _answer(self, box: QMessageBox, *, save: QWidget | None, leave: QWidget | None) -> None:
        clicked, self.question = box.clickedButton(), None
        box.deleteLater()
        with self._messages.border():
            if clicked is save:
                self._save()
            elif clicked is leave:
                self._leave()
            else:
                self._quits = False

    def _leave(self) -> None:
        self._may_go = True
        if self._close():
            self._autosave.abandon()
        self._may_go = False

    def _close(self) -> bool:
        quits_program(self._window(), self._quits)
        self._quits = False
        return QWidget.close(self._window())  # past napari's own question: one is enough

    def _save(self) -> None:
        """Ask where to, scan by scan, then write all and close."""
        files: dict[Path, UnsavedScan] = {}
        for scan in self._sessions.unsaved.scans:
            title = f"Save the findings of {scan.name}"
            path = chosen_session_file(self._window(), title, name=scan.name)
            if path is None:
                self._quits = False
                return
            if path in files:
                raise CtClipError(f"two scans were to be saved to {path}; give each its own file")
            files[path] = scan
        self._write(list(files.items()))

    def _write(self, files: list[tuple[Path, UnsavedScan]]) -> None:
        """Write session files one after the other; close, and ask again if something changed."""
        if not files:
            self._close()
            return
        (path, scan), rest = files[0], files[1:]
        is_open = scan.place == self._sessions.place
        self._sessions.save_kept(
            self._sessions.state() if is_open else self._autosave.source_of(scan.place),
            scan.place,
            path,
            jobs=self._autosave.jobs,  # the window waits for no encoding
            then=lambda: self._write(rest),
        )


def _words(scans: tuple[UnsavedScan, ...]) -> str:
    """Return what is unsaved, scan by scan."""
    total = sum(scan.count for scan in scans)
    told = "1 finding is" if total == 1 else f"{total} findings are"
    where = "; ".join(
        f"{scan.name}: {scan.count}" + (" and a report" if scan.has_report else "")
        for scan in scans
    )
    return f"{told} in no session file ({where})."

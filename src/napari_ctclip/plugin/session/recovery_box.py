"""Recovery box: what a window left behind when it ended, offered until it is taken up."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_ctclip.plugin.shell.workbench import Workbench

__all__ = ["RecoveryBox"]


class RecoveryBox(QWidget):
    """Shown only while there is something to recover.

    Parameters
    ----------
    workbench : Workbench
        Whose autosaves are offered.
    parent : QWidget or None
        The tab.
    """

    def __init__(self, workbench: Workbench, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bench = workbench
        self._path: Path | None = None
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.recover = QPushButton("Recover")
        self.recover.setToolTip("Open the scan with what was not saved")
        self.discard = QPushButton("Discard")
        self.discard.setToolTip("Delete what was left behind")
        buttons = QHBoxLayout()
        buttons.addWidget(self.recover)
        buttons.addWidget(self.discard)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.text)
        layout.addLayout(buttons)
        self.recover.clicked.connect(self._recover)
        self.discard.clicked.connect(self._discard)
        workbench.autosave.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Look for what windows left behind."""
        left = self._bench.autosave.left_behind()
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
            path = self._path
            self.hide()
            self._bench.guarded(lambda: self._bench.autosave.recover(path))

    def _discard(self) -> None:
        if self._path is not None:
            path = self._path
            self._bench.guarded(lambda: self._bench.autosave.discard(path))

"""Series dialog: which CT series of a DICOM folder to open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QLabel,
    QListWidget,
    QVBoxLayout,
    QWidget,
)

__all__ = ["SeriesDialog", "ask_series"]


class SeriesDialog(QDialog):
    """A list of series, the first one chosen.

    Parameters
    ----------
    folder : Path
        Where they lie.
    choices : sequence of str
        One line a series.
    parent : QWidget or None
        The window.
    """

    def __init__(
        self, folder: Path, choices: Sequence[str], *, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Choose a CT series")
        self.resize(720, 320)
        self.list = QListWidget()
        self.list.setAccessibleName("Series")
        for number, line in enumerate(choices, start=1):
            self.list.addItem(f"{number}.  {line}")
        self.list.setCurrentRow(0)
        self.list.itemDoubleClicked.connect(lambda *_: self.accept())
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Open | QDialogButtonBox.StandardButton.Cancel
        )
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(QLabel(f"{folder.name} holds {len(choices)} CT series:"))
        layout.addWidget(self.list)
        layout.addWidget(buttons)

    @property
    def series(self) -> int:
        """The chosen series, counted from 1."""
        return self.list.currentRow() + 1


def ask_series(
    folder: Path, choices: Sequence[str], *, parent: QWidget | None = None
) -> int | None:
    """Return the series the user chooses, counted from 1; None if they cancel."""
    dialog = SeriesDialog(folder, choices, parent=parent)
    chosen = dialog.exec() == QDialog.DialogCode.Accepted
    dialog.deleteLater()
    return dialog.series if chosen else None

"""Sample dialog: real CT to download, each with its licence, source and size; nothing by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_ctclip.core.errors import Cancelled
from napari_ctclip.plugin.window.jobs import Job, Progress, StopRequested
from napari_ctclip.plugin.window.window import Window
from napari_ctclip.session.sample_scans import SampleScan, download_sample, known_samples

__all__ = ["SampleDialog", "open_sample"]

_KB = 1024


class SampleDialog(QDialog):
    """The list of samples; OK opens the chosen one.

    Parameters
    ----------
    window : Window
        Where the download runs.
    open_path : callable
        Opens a file as the scan.
    parent : QWidget or None
        The window.
    """

    def __init__(
        self, window: Window, open_path: Callable[[Path], None], *, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._window, self._open_path = window, open_path
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Open a real CT")
        self.list = QListWidget()
        self.list.setAccessibleName("Samples")
        self.about = QLabel()
        self.about.setWordWrap(True)
        self.about.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.about.setAccessibleName("Licence and source")
        buttons = QDialogButtonBox.StandardButton
        self.buttons = QDialogButtonBox(buttons.Ok | buttons.Cancel)
        layout = QVBoxLayout(self)
        layout.addWidget(self.list)
        layout.addWidget(self.about)
        layout.addWidget(self.buttons)
        self.list.currentItemChanged.connect(self._show)
        self.buttons.accepted.connect(self._open)
        self.buttons.rejected.connect(self.reject)
        for sample in known_samples():
            item = QListWidgetItem(sample.title)
            item.setData(Qt.ItemDataRole.UserRole, sample)
            self.list.addItem(item)
        self.list.setCurrentRow(0)
        self.resize(520, 320)

    @property
    def chosen(self) -> SampleScan:
        """The sample that is selected."""
        item = self.list.currentItem()
        assert item is not None, "one row is always current"
        sample: SampleScan = item.data(Qt.ItemDataRole.UserRole)
        return sample

    def _show(self) -> None:
        sample = self.chosen
        state = "on this computer" if sample.is_here else f"to download, {sample.size}"
        self.about.setText(
            f"<b>Licence:</b> {sample.licence}<br><b>From:</b> {sample.source}<br>"
            f"<b>State:</b> {state}<br>"
            f"<b>Stored in:</b> {sample.path.parent}"
        )
        ok = self.buttons.button(QDialogButtonBox.StandardButton.Ok)
        if ok is not None:
            ok.setText("Open" if sample.is_here else "Download and open")

    def _open(self) -> None:
        open_sample(self._window, self.chosen, self._open_path)
        self.accept()


def open_sample(window: Window, sample: SampleScan, open_path: Callable[[Path], None]) -> None:
    """Open a sample, downloaded in the background if it is not here."""

    def work(progress: Progress, should_stop: StopRequested) -> Path:
        def report(name: str, done: int, total: int) -> None:
            if should_stop():
                raise Cancelled(f"{name}: cancelled; the next download resumes here")
            progress(done // _KB, total // _KB)

        return download_sample(sample, progress=report)

    window.jobs.submit(Job(f"Downloading {sample.title}", work, open_path))

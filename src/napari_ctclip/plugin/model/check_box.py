"""Check box: what the chosen model will see of the open scan, and what encoding takes."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QPixmap, QResizeEvent
from qtpy.QtWidgets import QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_ctclip.plugin.widgets.panel_parts import sentence
from napari_ctclip.plugin.window.jobs import Job
from napari_ctclip.plugin.window.window import Window

if TYPE_CHECKING:
    from napari_ctclip.audit.study_check import StudyCheck

__all__ = ["CheckBox"]

_MARKS = {"warning": "⚠", "info": "ⓘ"}


class CheckBox(QWidget):
    """A button, then a table, remarks and a picture.

    Parameters
    ----------
    window : Window
        Whose scan is checked.
    load_model : callable
        Loads the chosen model, where none is loaded yet.
    """

    def __init__(self, window: Window, load_model: Callable[[], None]) -> None:
        super().__init__()
        self._window, self._load_model = window, load_model
        self.button = QPushButton("Check this scan")
        self.button.setToolTip(
            "Shows what the model will see of the scan and what encoding takes; encodes nothing"
        )
        self.table = _words("Preprocessing and cost")
        self.notices = _words("Remarks")
        self.picture = _Picture()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (self.button, self.notices, self.table, self.picture):
            layout.addWidget(part)
        self.button.clicked.connect(lambda: self._window.guarded(self.check))
        self._window.session.study_changed.connect(self.forget)
        self._window.session.model_changed.connect(self.forget)
        self._window.session.masks_changed.connect(self.forget)
        self.forget()

    def check(self) -> None:
        """Check the open scan with the model, in the background."""
        session = self._window.session
        study = session.study
        if session.model is None:
            self._load_model()
        self._window.jobs.submit(
            Job(
                "Checking what the model will see",
                lambda progress, should_stop: session.compute_check(),
                self.show_check,
                still_wanted=lambda: session.study is study and session.model is not None,
            )
        )

    def show_check(self, check: StudyCheck) -> None:
        """Show the result."""
        rows = "".join(
            f"<tr><td><b>{escape(row.what)}</b>&nbsp;</td><td>{escape(row.found)}&nbsp;</td>"
            f"<td>{escape(row.used)}</td></tr>"
            for row in check.rows()
        )
        head = (
            f"<tr><td></td><td><i>in the scan</i></td><td><i>{escape(check.audit.model_name)}</i>"
        )
        self.table.setText(f"<table cellspacing=2>{head}</td></tr>{rows}</table>")
        self.notices.setText(
            "<br>".join(
                f"{_MARKS[n.severity]} {n.severity}: {escape(n.message)}" for n in check.notices
            )
        )
        self.picture.show_png(check.picture)
        self._set_shown(True)
        self.notices.setVisible(bool(check.notices))
        self._window.messages.info(f"This scan was checked for {check.audit.model_name}.")

    def forget(self, *_: object) -> None:
        """Show nothing: another scan, other masks or another model came."""
        self._set_shown(False)
        self.button.setEnabled(self._window.session.study is not None)

    def _set_shown(self, shown: bool) -> None:
        for part in (self.table, self.notices, self.picture):
            part.setVisible(shown)


class _Picture(QLabel):
    """A picture as wide as the panel."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("What the model sees")
        self.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._whole = QPixmap()

    def show_png(self, content: bytes) -> None:
        """Show a PNG."""
        self._whole.loadFromData(content, "PNG")
        self._fit()

    def sizeHint(self) -> QSize:
        """Return the size that keeps the picture's proportions at the panel's width."""
        if self._whole.isNull():
            return QSize(0, 0)
        return QSize(self.width(), self.width() * self._whole.height() // self._whole.width())

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Follow the panel's width."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        if self._whole.isNull() or self.width() < 1:
            return
        smooth = Qt.TransformationMode.SmoothTransformation
        self.setPixmap(self._whole.scaledToWidth(self.width(), smooth))
        self.setFixedHeight(self.sizeHint().height())


def _words(name: str) -> QLabel:
    label = sentence("", name, selectable=True)
    label.setTextFormat(Qt.TextFormat.RichText)
    return label

"""Second pane: a picture of its own beside napari's, with its own layers and slider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.components import ViewerModel
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_ctclip.plugin.canvas._compat import beside_canvas, main_window, make_canvas

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["SecondPane"]


class SecondPane(QWidget):
    """A canvas beside the viewer's own, as large.

    Parameters
    ----------
    viewer : Viewer
        Beside whose canvas it stands; without a window it stands nowhere.
    title : str
        What it shows.
    """

    def __init__(self, viewer: Viewer, *, title: str) -> None:
        super().__init__()
        self.setAccessibleName(title)
        self.viewer = ViewerModel(title=title)
        self.canvas = make_canvas(viewer, self.viewer, alone=True)
        self._heading = QLabel(title)
        self._heading.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._heading)
        layout.addWidget(self.canvas, 1)
        window = main_window(viewer)
        self._centre = None if window is None else window.centralWidget()
        beside = beside_canvas(viewer)
        if self._centre is not None and beside is not None:
            beside.addWidget(self)
            self._centre.installEventFilter(self)
            self._arrange()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Arrange the two pictures anew when their room changes."""
        if event is not None and event.type() == QEvent.Type.Resize:
            self._arrange()
        return bool(super().eventFilter(watched, event))

    def set_heading(self, text: str) -> None:
        """Write what is shown over the picture."""
        self._heading.setText(text)

    def release(self) -> None:
        """Take the pane away for good."""
        if self._centre is not None:
            self._centre.removeEventFilter(self)
            _arrange(self._centre, beside=True)
        self.viewer.layers.clear()
        self.canvas.close()
        self.canvas.setParent(None)  # nothing but us holds it then
        del self.canvas
        self.hide()
        self.setParent(None)
        self.deleteLater()

    def _arrange(self) -> None:
        """Stand beside the other picture, or below it where that shows more of both."""
        if self._centre is not None:
            _arrange(self._centre, beside=self._centre.width() >= self._centre.height())


def _arrange(centre: QWidget, *, beside: bool) -> None:
    layout = centre.layout()
    if isinstance(layout, QBoxLayout):
        kinds = QBoxLayout.Direction
        layout.setDirection(kinds.LeftToRight if beside else kinds.TopToBottom)

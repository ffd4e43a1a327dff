"""Panes: further canvases beside the viewer's own, of the same layers or of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.components import ViewerModel
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_ctclip.plugin.canvas._compat import (
    beside_canvas,
    main_window,
    make_canvas,
    scale_bar,
)
from napari_ctclip.plugin.canvas.canvas_fit import CanvasFit
from napari_ctclip.plugin.canvas.layer_mirror import LayerMirror
from napari_ctclip.plugin.canvas.texts import OrientationLetters

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["LinkedPlane", "SecondPane"]


class LinkedPlane(QWidget):
    """A canvas with its name, orientation letters and a scale bar.

    Parameters
    ----------
    viewer : Viewer
        Whose layers it shows.
    name : str
        Of the plane.
    order : tuple of int
        Axes: the one it steps along, then down and right.
    parent : QWidget or None
        Where it stands.
    """

    def __init__(
        self,
        viewer: Viewer,
        name: str,
        *,
        order: tuple[int, int, int],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setAccessibleName(f"{name} plane")
        self.axis, self._order = order[0], order
        self._viewer = viewer
        self.model = ViewerModel(ndisplay=2)
        self._letters = OrientationLetters(self.model)
        self._mirror = LayerMirror(viewer, self.model)
        self._fit = CanvasFit(self.model)
        self.canvas = make_canvas(viewer, self.model)
        self.model.canvas.background_color_override = "black"  # as the viewer's own
        bar = scale_bar(self.model)
        bar.visible, bar.colored = True, False
        self._letters.set_shown(True)
        title = QLabel(name)
        title.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(title)
        layout.addWidget(self.canvas, 1)
        self.follow()

    def follow(self) -> None:
        """Turn to the slice through the point that the viewer shows."""
        point, dims = self._viewer.dims.point, self.model.dims
        if dims.ndim == 3 and len(point) == 3:
            if dims.order != self._order:  # napari forgets it with the last layer
                dims.order = self._order
            # the other two axes lie in the plane: moving along them would only draw it again
            dims.set_point(self.axis, point[self.axis])

    def fit(self) -> None:
        """Show the whole plane."""
        self.model.fit_to_view()

    def release(self) -> None:
        """Follow the viewer no longer and give the canvas back."""
        self._mirror.close()
        self.canvas.close()  # it goes with us: taken out while the window closes, it ends Qt


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

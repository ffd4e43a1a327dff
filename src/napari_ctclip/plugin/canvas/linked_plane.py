"""Linked plane: a second canvas that shows the viewer's layers in a plane of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.components import ViewerModel
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_ctclip.plugin.canvas._compat import make_canvas, scale_bar
from napari_ctclip.plugin.canvas.canvas_fit import CanvasFit
from napari_ctclip.plugin.canvas.layer_mirror import LayerMirror
from napari_ctclip.plugin.canvas.orientation_letters import OrientationLetters

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["LinkedPlane"]


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

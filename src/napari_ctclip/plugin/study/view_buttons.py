"""View buttons: one plane, three planes or 3D."""

from __future__ import annotations

from functools import partial

from qtpy.QtWidgets import QButtonGroup, QHBoxLayout, QPushButton, QWidget

from napari_ctclip.plugin.canvas.views import View, Views

__all__ = ["ViewButtons"]

_TIPS = {
    View.PLANE: "The slices alone",
    View.PLANES: "Axial, coronal and sagittal through one point: click in one to turn the others",
    View.VOLUME: "Bones and heat in space: drag to turn, G shows the organs too",
}


class ViewButtons(QWidget):
    """Three buttons, one of them pressed.

    Parameters
    ----------
    views : Views
        What they switch.
    parent : QWidget or None
        The panel.
    """

    def __init__(self, views: Views, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._group = QButtonGroup(self)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        self.buttons: dict[View, QPushButton] = {}
        for view in View:
            button = QPushButton(view.value)
            button.setCheckable(True)
            button.setToolTip(f"{_TIPS[view]} (U: next view)")
            button.clicked.connect(partial(self._choose, views, view))
            self._group.addButton(button)
            self.buttons[view] = button
            layout.addWidget(button, 1)
        views.changed.connect(self._show)
        self._show(views.view)

    def _choose(self, views: Views, view: View, *_: object) -> None:
        views.show(view)
        self._show(views.view)  # a click checks the button also where there is nothing to show

    def _show(self, view: View) -> None:
        self.buttons[view].setChecked(True)

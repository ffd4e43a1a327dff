"""View buttons: the plane or planes shown, and the window of the CT's gray scale."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from qtpy.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_ctclip.core.volume import WINDOWS, Window
from napari_ctclip.plugin.canvas.scene import Scene
from napari_ctclip.plugin.canvas.views import View, Views

__all__ = ["ViewButtons", "WindowButtons"]

_MOST_HU = 4000
_ON_BUTTONS = {
    "Lung": "Lung",
    "Mediastinum": "Med.",
    "Bone": "Bone",
    "Liver": "Liver",
    "Angio": "Angio",
}
_VIEW_TIPS = {
    View.PLANE: "The slices alone",
    View.PLANES: "Axial, coronal and sagittal through one point: click in one to turn the others",
    View.VOLUME: "Bones and heat in space: drag to turn, G shows the organs too",
}


class WindowButtons(QWidget):
    """A row of presets; the rest, and the file's own, in a menu.

    Parameters
    ----------
    scene : Scene
        Whose scan they window.
    parent : QWidget or None
        The panel.
    """

    def __init__(self, scene: Scene, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene = scene
        self._last = -1
        layout = QHBoxLayout()
        layout.setSpacing(3)
        for number, (name, window) in enumerate(WINDOWS.items(), start=1):
            if name not in _ON_BUTTONS:
                continue
            button = QPushButton(_ON_BUTTONS[name])
            button.setMinimumWidth(36)
            button.setToolTip(_described(name, window) + f" (Alt+{number})")
            button.clicked.connect(partial(self._show, window))
            layout.addWidget(button, 1)
        more = QPushButton("More")
        more.setMinimumWidth(58)
        more.setToolTip("Other windows, and those of the file")
        self.menu = QMenu(more)
        more.setMenu(self.menu)
        layout.addWidget(more)
        self.width_hu = _hounsfield("Window width", "W ", least=1)
        self.level_hu = _hounsfield("Window level", "L ", least=-_MOST_HU)
        numbers = QHBoxLayout()
        numbers.setSpacing(3)
        for spin in (self.width_hu, self.level_hu):
            spin.valueChanged.connect(self._take_numbers)
            numbers.addWidget(spin, 1)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(3)
        rows.addLayout(layout)
        rows.addLayout(numbers)
        scene.window_changed.connect(self._show_numbers)
        self.set_file_windows({})
        self._show_numbers()

    def set_file_windows(self, windows: Mapping[str, Window]) -> None:
        """Offer the windows that the open file proposes."""
        self.menu.clear()
        offered = {f"From the file: {name}": window for name, window in windows.items()}
        for name, window in {**WINDOWS, **offered}.items():
            action = self.menu.addAction(_described(name, window))
            if action is not None:
                action.triggered.connect(partial(self._show, window))

    def _show(self, window: Window, *_: object) -> None:
        self._scene.set_window(window)

    def next(self) -> None:
        """Show the next preset."""
        self._last = (self._last + 1) % len(WINDOWS)
        self._scene.set_window(list(WINDOWS.values())[self._last])

    def _take_numbers(self, *_: object) -> None:
        self._scene.set_window(Window(self.level_hu.value(), self.width_hu.value()))

    def _show_numbers(self) -> None:
        """Take the numbers from the scan, whoever changed them: mouse, preset, slider."""
        window = self._scene.window
        for spin, value in (
            (self.width_hu, 1.0 if window is None else window.width),
            (self.level_hu, 0.0 if window is None else window.level),
        ):
            spin.setEnabled(window is not None)
            spin.blockSignals(True)
            spin.setValue(round(value))
            spin.blockSignals(False)


def _hounsfield(name: str, prefix: str, *, least: int) -> QSpinBox:
    spin = QSpinBox()
    spin.setRange(least, 2 * _MOST_HU)
    spin.setPrefix(prefix)
    spin.setSuffix(" HU")
    spin.setSingleStep(10)
    spin.setKeyboardTracking(False)
    spin.setAccessibleName(name)
    spin.setToolTip(f"{name}; or drag with the right mouse button in the picture")
    return spin


def _described(name: str, window: Window) -> str:
    return f"{name}: width {window.width:.0f}, level {window.level:.0f} HU"


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
            button.setToolTip(f"{_VIEW_TIPS[view]} (U: next view)")
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

"""Window buttons: presets for the CT's gray scale, and the file's own windows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from qtpy.QtWidgets import QHBoxLayout, QMenu, QPushButton, QWidget

from napari_ctclip.core.volume import WINDOWS, Window
from napari_ctclip.plugin.scene import Scene

__all__ = ["WindowButtons"]

_ON_BUTTONS = {
    "Lung": "Lung",
    "Mediastinum": "Med.",
    "Bone": "Bone",
    "Liver": "Liver",
    "Angio": "Angio",
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
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
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
        self.set_file_windows({})

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


def _described(name: str, window: Window) -> str:
    return f"{name}: width {window.width:.0f}, level {window.level:.0f} HU"

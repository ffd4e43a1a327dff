"""Docking: our further docks open as tabs beside the panel, not squeezed below it."""

from __future__ import annotations

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

__all__ = ["dock_beside_panel"]

_PANEL = "ctclip panel"


def dock_beside_panel(widget: QWidget) -> None:
    """Make a docked widget a tab of the dock that holds the panel, once napari has placed it."""
    timer = QTimer(widget)  # a child: it dies with the widget
    timer.setSingleShot(True)
    timer.timeout.connect(lambda: _tabify(widget))
    timer.start(0)


def _tabify(widget: QWidget) -> None:
    own = _dock_of(widget)
    window = None if own is None else own.parent()
    if own is None or not isinstance(window, QMainWindow):
        return
    for dock in window.findChildren(QDockWidget):
        panel = dock.findChild(QWidget, _PANEL)
        if dock is not own and panel is not None and not dock.isFloating():
            window.tabifyDockWidget(dock, own)
            own.show()
            own.raise_()
            return


def _dock_of(widget: QWidget) -> QDockWidget | None:
    above = widget.parent()
    while above is not None and not isinstance(above, QDockWidget):
        above = above.parent()
    return above

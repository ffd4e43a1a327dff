"""Focus ring: a frame about the control that has the keyboard; napari's style draws none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent, QObject, QRectF, Qt
from qtpy.QtGui import QColor, QGuiApplication, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QApplication, QWidget

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["FocusRing"]

_PIXELS = 2.0


class FocusRing(QWidget):
    """The frame, drawn inside the edge of a control of the panel; none after a click.

    Parameters
    ----------
    panel : QWidget
        Whose controls it goes about.
    viewer : Viewer
        Whose theme it is drawn in.
    """

    def __init__(self, panel: QWidget, viewer: Viewer) -> None:
        super().__init__(panel)
        self._panel, self._viewer = panel, viewer
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.hide()
        app = QApplication.instance()
        assert isinstance(app, QApplication), "a widget needs an application"
        app.focusChanged.connect(self.follow)

    def follow(self, before: QWidget | None, now: QWidget | None) -> None:
        """Go about the control that the keyboard came to.

        Parameters
        ----------
        before, now : QWidget or None
            What had the keyboard, and what has it; None: nothing of this application.
        """
        if before is not None:
            before.removeEventFilter(self)
        by_mouse = QGuiApplication.mouseButtons() != Qt.MouseButton.NoButton
        if now is None or by_mouse or not self._panel.isAncestorOf(now):
            self.setParent(self._panel)
            self.hide()
            return
        now.installEventFilter(self)
        self.setParent(now)
        self.setGeometry(now.rect())
        self.raise_()
        self.show()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Follow the control's size."""
        if (
            event is not None
            and event.type() == QEvent.Type.Resize
            and isinstance(watched, QWidget)
            and watched is self.parentWidget()
        ):
            self.setGeometry(watched.rect())
        return False

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the frame in the theme's text colour."""
        painter = QPainter(self)
        painter.setPen(QPen(QColor(get_theme(self._viewer.theme).text.as_hex()), _PIXELS))
        inset = _PIXELS / 2
        painter.drawRect(QRectF(self.rect()).adjusted(inset, inset, -inset, -inset))
        painter.end()

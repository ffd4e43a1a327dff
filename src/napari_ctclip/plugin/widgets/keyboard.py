"""Keyboard: a frame about the control that has it, and arrow keys for labelled sliders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent, QObject, QRectF, Qt
from qtpy.QtGui import QColor, QGuiApplication, QKeyEvent, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QApplication, QSlider, QWidget
from superqt import QLabeledDoubleRangeSlider, QLabeledDoubleSlider

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["FocusRing", "SliderKeys"]

_PIXELS = 2.0
_STEP, _PAGE = 0.01, 0.1  # ours: as fine as the numbers beside the slider, and ten of them
_MOVES = {
    Qt.Key.Key_Left: -_STEP,
    Qt.Key.Key_Down: -_STEP,
    Qt.Key.Key_Right: _STEP,
    Qt.Key.Key_Up: _STEP,
    Qt.Key.Key_PageDown: -_PAGE,
    Qt.Key.Key_PageUp: _PAGE,
}


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


class SliderKeys(QObject):
    """The keys of one slider, which becomes one stop of Tab with a name.

    Parameters
    ----------
    slider : QLabeledDoubleSlider or QLabeledDoubleRangeSlider
        What they move: its only value, or the lower of two, and the upper with Shift.
    spoken : str
        What it sets, for those who do not see it.
    tooltip : str
        What it does; the keys are described after it.
    """

    def __init__(
        self,
        slider: QLabeledDoubleSlider | QLabeledDoubleRangeSlider,
        spoken: str,
        tooltip: str,
    ) -> None:
        super().__init__(slider)
        self._slider = slider
        has_two = isinstance(slider, QLabeledDoubleRangeSlider)
        keys = "Arrows and Page set the lower end, with Shift the upper" if has_two else "Arrows"
        slider.setToolTip(f"{tooltip} ({keys})")
        slider.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # it would be a second stop without effect
        self.bar = slider.findChild(QSlider)
        assert self.bar is not None, "a labelled slider holds a slider"
        self.bar.setAccessibleName(spoken)
        self.bar.setToolTip(slider.toolTip())
        self.bar.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Move the slider by a key."""
        if not isinstance(event, QKeyEvent) or event.type() != QEvent.Type.KeyPress:
            return False
        move = _MOVES.get(Qt.Key(event.key()))
        if move is None:
            return False
        is_upper = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        self._move(move, is_upper=is_upper)
        return True

    def _move(self, by: float, *, is_upper: bool) -> None:
        slider = self._slider
        least, most = float(slider.minimum()), float(slider.maximum())
        if isinstance(slider, QLabeledDoubleRangeSlider):
            low, high = (float(value) for value in slider.value())
            if is_upper:
                high = min(max(high + by, low + _STEP), most)
            else:
                low = max(min(low + by, high - _STEP), least)
            slider.setValue((low, high))
        else:
            slider.setValue(min(max(float(slider.value()) + by, least), most))

"""Slider keys: labelled sliders, which know only the mouse, answer to the arrow keys."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QSlider
from superqt import QLabeledDoubleRangeSlider, QLabeledDoubleSlider

__all__ = ["SliderKeys"]

_STEP, _PAGE = 0.01, 0.1  # ours: as fine as the numbers beside the slider, and ten of them
_MOVES = {
    Qt.Key.Key_Left: -_STEP,
    Qt.Key.Key_Down: -_STEP,
    Qt.Key.Key_Right: _STEP,
    Qt.Key.Key_Up: _STEP,
    Qt.Key.Key_PageDown: -_PAGE,
    Qt.Key.Key_PageUp: _PAGE,
}


class SliderKeys(QObject):
    """The keys of one slider, which becomes one stop of Tab with a name.

    Parameters
    ----------
    slider : QLabeledDoubleSlider or QLabeledDoubleRangeSlider
        What they move: its only value, or the lower of two, and the upper with Shift.
    spoken : str
        What it sets, for those who do not see it.
    tooltip : str
        What it does; the keys are told after it.
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

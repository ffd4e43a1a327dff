"""A labelled slider is moved by the keys, within its range, and says what it is."""

from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from superqt import QLabeledDoubleRangeSlider, QLabeledDoubleSlider

from napari_ctclip.plugin.widgets.keyboard import SliderKeys

pytestmark = pytest.mark.gui

_SHIFT = Qt.KeyboardModifier.ShiftModifier


def _set_up(slider: Any, value: Any, qtbot: Any) -> Any:
    qtbot.addWidget(slider)
    slider.setRange(0.0, 1.0)
    slider.setValue(value)
    bar = SliderKeys(slider, "Heat", "How hot").bar
    assert bar.accessibleName() == "Heat"
    assert "How hot" in bar.toolTip()
    return bar


def test_arrows_and_page_move_a_value_and_stop_at_its_ends(qtbot: Any) -> None:
    slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
    bar = _set_up(slider, 0.5, qtbot)
    told: list[float] = []
    slider.valueChanged.connect(told.append)
    QTest.keyClick(bar, Qt.Key.Key_Right)
    assert slider.value() == pytest.approx(0.51)
    QTest.keyClick(bar, Qt.Key.Key_PageDown)
    assert slider.value() == pytest.approx(0.41)
    assert told == pytest.approx([0.51, 0.41])
    for _ in range(12):
        QTest.keyClick(bar, Qt.Key.Key_PageUp)
    assert slider.value() == pytest.approx(1.0)


def test_shift_moves_the_upper_end_and_the_ends_never_cross(qtbot: Any) -> None:
    slider = QLabeledDoubleRangeSlider(Qt.Orientation.Horizontal)
    bar = _set_up(slider, (0.3, 0.6), qtbot)
    QTest.keyClick(bar, Qt.Key.Key_Up)
    assert slider.value() == pytest.approx((0.31, 0.6))
    QTest.keyClick(bar, Qt.Key.Key_Down, _SHIFT)
    assert slider.value() == pytest.approx((0.31, 0.59))
    for _ in range(5):
        QTest.keyClick(bar, Qt.Key.Key_PageUp)
    assert slider.value() == pytest.approx((0.58, 0.59))
    for _ in range(8):
        QTest.keyClick(bar, Qt.Key.Key_PageDown, _SHIFT)
    assert slider.value() == pytest.approx((0.58, 0.59))

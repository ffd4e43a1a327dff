"""The keyboard reaches every control of the panel, in the order they are read, each with a name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import pytest
from qtpy.QtCore import QPoint, QRect, Qt
from qtpy.QtGui import QResizeEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QApplication,
    QGroupBox,
    QLineEdit,
    QScrollArea,
    QWidget,
)

from napari_ctclip.plugin.findings.findings_table import NAME
from tests.plugin.conftest import Desk

pytestmark = pytest.mark.gui

_MOST_STEPS = 60
_SLACK = 3
"""Pixels that a row of controls may be uneven by."""


def _tabs(desk: Desk) -> Iterator[tuple[str, QScrollArea, QWidget]]:
    """Show each tab with every control enabled; what is enabled when is tested elsewhere."""
    tabs = desk.widget.tabs
    for number in range(tabs.count()):
        tabs.setCurrentIndex(number)
        area = tabs.currentWidget()
        assert isinstance(area, QScrollArea)
        tab = area.widget()
        for widget in tab.findChildren(QWidget):
            widget.setEnabled(True)
        desk.qtbot.wait(50)
        yield tabs.tabText(number), area, tab


def _controls(tab: QWidget) -> list[QWidget]:
    """Return what Tab must stop at."""
    return [
        widget
        for widget in tab.findChildren(QWidget)
        if widget.isVisibleTo(tab)
        and widget.isEnabled()
        and widget.focusPolicy() & Qt.FocusPolicy.TabFocus
        and widget.focusProxy() is None
    ]


def _name(widget: QWidget) -> str:
    text = widget.text() if isinstance(widget, QAbstractButton) else ""
    return widget.accessibleName() or text


def _said(widget: QWidget) -> str:
    return _name(widget) or f"a {type(widget).__name__} at {widget.pos()}"


def _stops(desk: Desk, area: QScrollArea, tab: QWidget) -> dict[QWidget, bool]:
    """Return what Tab stops at from the tab bar on, in its order, and whether it is in sight."""
    bar, window = desk.widget.tabs.tabBar(), desk.widget.window()
    bar.setFocus()
    stops: dict[QWidget, bool] = {}
    for _ in range(_MOST_STEPS):
        QTest.keyClick(window.focusWidget(), Qt.Key.Key_Tab)
        now = window.focusWidget()
        if now is area:
            continue
        if not tab.isAncestorOf(now):
            break
        stops[now] = not now.visibleRegion().isEmpty()
    return stops


def _place(widget: QWidget, tab: QWidget) -> QRect:
    return QRect(widget.mapTo(tab, QPoint(0, 0)), widget.size())


def _follows(first: QRect, second: QRect) -> bool:
    if abs(first.center().y() - second.center().y()) <= _SLACK:
        return second.left() >= first.right() - _SLACK
    return second.top() >= first.bottom() - _SLACK


def _split_groups(stops: Iterable[QWidget], tab: QWidget) -> list[str]:
    """Return the groups whose controls are not reached one after the other."""
    split = []
    for group in tab.findChildren(QGroupBox):
        inside = [number for number, stop in enumerate(stops) if group.isAncestorOf(stop)]
        if inside and inside != list(range(inside[0], inside[-1] + 1)):
            split.append(f"group {group.title()} is left and entered again")
    return split


def test_every_control_says_its_name_and_what_it_does(desk: Desk) -> None:
    mute = []
    for title, area, tab in _tabs(desk):
        controls = _controls(tab)
        assert controls
        assert area.accessibleName()
        mute += [f"{title}: {_said(c)} has no name" for c in controls if not _name(c)]
        mute += [f"{title}: {_said(c)} has no tooltip" for c in controls if not c.toolTip()]
    assert mute == []


def test_tab_goes_through_every_tab_in_the_order_it_is_read(shown: Desk) -> None:
    faults = []
    for title, area, tab in _tabs(shown):
        stops, controls = _stops(shown, area, tab), _controls(tab)
        faults += [f"{title}: {_said(c)} is left out" for c in controls if c not in stops]
        faults += [
            f"{title}: {_said(s)} is not scrolled to" for s, seen in stops.items() if not seen
        ]
        faults += [
            f"{title}: after {_said(first)} comes {_said(second)}"
            for first, second in pairwise(stops)
            if not _follows(_place(first, tab), _place(second, tab))
        ]
        faults += [f"{title}: {fault}" for fault in _split_groups(stops, tab)]
        faults += [
            f"{title}: Tab stays in {_said(view)}"
            for view in tab.findChildren(QAbstractItemView)
            if view in controls and view.tabKeyNavigation()
        ]
    assert faults == []


def test_a_ring_goes_about_the_control_that_has_the_keyboard(desk: Desk) -> None:
    ring, explore = desk.widget.ring, desk.widget.explore
    assert ring.isHidden()
    for control in (explore.export, explore.table):
        ring.follow(ring.parentWidget(), control)
        assert not ring.isHidden()
        control.resize(control.width() + 20, control.height())
        # a hidden window keeps the news of its size to itself
        QApplication.sendEvent(control, QResizeEvent(control.size(), control.size()))
        assert (ring.parentWidget(), ring.size()) == (control, control.size())
    ring.follow(explore.table, None)
    assert ring.isHidden()
    ring.follow(None, desk.viewer.window._qt_window)  # not of the panel
    assert ring.isHidden()


def test_the_keyboard_switches_tabs(desk: Desk) -> None:
    tabs = desk.widget.tabs
    bar = tabs.tabBar()
    assert bar.focusPolicy() & Qt.FocusPolicy.TabFocus
    tabs.setCurrentIndex(0)
    QTest.keyClick(bar, Qt.Key.Key_Right)
    assert tabs.currentIndex() == 1
    QTest.keyClick(bar, Qt.Key.Key_Left)
    assert tabs.currentIndex() == 0
    QTest.keyClick(
        desk.widget.explore.line.edit, Qt.Key.Key_Tab, Qt.KeyboardModifier.ControlModifier
    )
    assert tabs.currentIndex() == 1


def test_enter_on_a_row_goes_to_its_place(worked: Desk) -> None:
    explore, findings, scene = worked.widget.explore, worked.widget.findings, worked.bench.scene
    places = (
        (explore.table, explore.selected_prompt, "peak"),
        (findings.table, lambda: findings.model.rows[0], "index"),
    )
    for table, row, place in places:
        scene.turn_to((3, 4, 5))
        table.selectRow(0)
        QTest.keyClick(table, Qt.Key.Key_Return)
        at = scene.frame.display_to_index(worked.viewer.dims.point)
        assert at == getattr(row(), place) != (3, 4, 5)


def test_a_double_click_still_edits_a_finding(worked: Desk) -> None:
    table = worked.widget.findings.table
    cell = table.visualRect(table.model().index(0, NAME)).center()
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=cell)
    QTest.mouseDClick(table.viewport(), Qt.MouseButton.LeftButton, pos=cell)
    assert table.viewport().findChild(QLineEdit) is not None

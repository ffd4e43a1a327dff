"""The window fits a small screen: no text is cut, nothing scrolls sideways, in either theme."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from qtpy.QtWidgets import QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from napari_ctclip.plugin.canvas.views import View
from napari_ctclip.plugin.shell.docks import FollowUpWidget, TrainingWidget
from scripts.pictures.fitting import misfits
from tests.plugin.conftest import Desk

pytestmark = pytest.mark.gui

_SMALL = (1280, 720)


@pytest.fixture
def small(make_desk: Callable[..., Desk]) -> Desk:
    """A window of 1280 x 720 with an answered prompt and a probe."""
    desk = make_desk(show=True)
    desk.viewer.window.resize(*_SMALL)
    desk.open()
    desk.ask("bright spot")
    desk.ask("ground-glass opacity in the right lung")
    desk.bench.probe.look_at((20, 30, 44))
    desk.wait()
    desk.qtbot.wait(100)
    return desk


def _settled_misfits(desk: Desk, window: Any) -> Any:
    """Return what does not fit once the layout has settled: a busy machine takes its time."""
    for _ in range(20):
        desk.qtbot.wait(100)
        found = misfits(window)
        if not found:
            break
    return found


def test_every_tab_fits_a_window_of_1280_by_720(small: Desk) -> None:
    window = small.viewer.window._qt_window
    found = {}
    for theme, number in product(("dark", "light"), range(small.widget.tabs.count())):
        small.viewer.theme = theme
        small.widget.tabs.setCurrentIndex(number)
        found[theme, small.widget.tabs.tabText(number)] = _settled_misfits(small, window)
    assert (window.width(), window.height()) == _SMALL
    assert not any(found.values()), found


def test_the_daily_work_needs_no_scrolling_at_1280_by_720(small: Desk) -> None:
    small.widget.tabs.setCurrentIndex(0)
    small.qtbot.wait(100)
    area = small.widget.tabs.currentWidget()
    assert isinstance(area, QScrollArea)
    assert area.verticalScrollBar().maximum() == 0
    assert not small.widget.explore.organs.is_open  # it gave its room to the probe
    small.viewer.window.resize(1920, 1080)
    small.qtbot.wait(200)
    assert small.widget.explore.organs.is_open
    assert misfits(small.viewer.window._qt_window) == []


def test_docks_fit_beside_the_panel(small: Desk) -> None:
    for dock in (FollowUpWidget, TrainingWidget):
        widget = dock(small.viewer)
        small.viewer.window.add_dock_widget(widget, name=dock.__name__, area="right")
        small.qtbot.wait(200)
        assert widget.isVisible()
        assert misfits(small.viewer.window._qt_window) == [], dock


def test_a_fold_stays_as_the_user_leaves_it(small: Desk) -> None:
    fold = small.widget.explore.organs
    fold.heading.click()
    assert fold.is_open
    small.viewer.window.resize(1280, 700)
    small.qtbot.wait(100)
    assert fold.is_open


def test_the_picture_grows_with_the_window(small: Desk) -> None:
    camera, canvas = small.viewer.scene.camera, small.viewer.canvas
    share = camera.zoom / min(canvas.size)
    small.bench.views.show(View.PLANES)
    small.qtbot.wait(100)
    small.viewer.window.resize(1900, 1060)
    small.qtbot.wait(200)
    for plane in small.bench.views.planes:
        bar = plane.model.canvas.overlays.scale_bar
        assert bar.length * plane.model.scene.camera.zoom < 0.3 * plane.model.canvas.size[1]
    small.bench.views.show(View.PLANE)
    small.qtbot.wait(100)
    small.viewer.window.resize(*_SMALL)
    small.qtbot.wait(200)
    assert camera.zoom / min(canvas.size) == pytest.approx(share, rel=0.05)


def test_what_does_not_fit_is_found(small: Desk) -> None:
    panel = QWidget()
    panel.setObjectName("ctclip test")
    rows = QVBoxLayout(panel)
    cut, button = QLabel("a text that is far too long for this"), QPushButton("as this one is too")
    for widget in (cut, button):
        widget.setFixedWidth(60)
        rows.addWidget(widget)
    small.viewer.window.add_dock_widget(panel, name="test", area="left")
    small.qtbot.wait(200)
    assert len(misfits(small.viewer.window._qt_window)) == 2

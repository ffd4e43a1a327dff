"""Window and level: by a drag with the right button, and those the file brings."""

from __future__ import annotations

import pytest
from qtpy.QtCore import QPoint, Qt

from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume, Window
from tests.phantom import ball_study
from tests.plugin.conftest import Desk

pytestmark = pytest.mark.gui


def test_right_drag_sets_the_window_and_does_not_zoom(shown: Desk) -> None:
    shown.open()
    native = shown.viewer.window._qt_viewer.canvas.native
    shown.bench.scene.set_window(Window(0.0, 600.0))
    zoom = shown.viewer.scene.camera.zoom
    start = QPoint(120, 120)
    shown.qtbot.mouseMove(native, start)
    shown.qtbot.mousePress(native, Qt.MouseButton.RightButton, pos=start)
    shown.qtbot.wait(20)  # the canvas leaves out moves that follow another within 10 ms
    shown.qtbot.mouseMove(native, start + QPoint(50, 20))
    shown.qtbot.mouseRelease(native, Qt.MouseButton.RightButton, pos=start + QPoint(50, 20))
    assert shown.bench.scene.window == Window(40.0, 700.0)
    assert shown.viewer.scene.camera.zoom == zoom
    explore = shown.widget.explore.windows
    assert (explore.width_hu.value(), explore.level_hu.value()) == (700, 40)
    shown.bench.scene.ct.contrast_limits = (0, 100)  # napari's slider
    assert (explore.width_hu.value(), explore.level_hu.value()) == (100, 50)
    explore.width_hu.setValue(200)
    assert shown.bench.scene.ct.contrast_limits == [-50.0, 150.0]


def test_windows_of_the_file_are_in_the_menu(desk: Desk) -> None:
    ball = ball_study().volume
    windows = {"LUNG": Window(-550.0, 1450.0), "MEDIASTINUM": Window(35.0, 380.0)}
    desk.open(Study(Volume(ball.voxels, ball.geometry, windows=windows)))
    assert desk.bench.scene.window == windows["LUNG"]
    actions = {a.text(): a for a in desk.widget.explore.windows.menu.actions()}
    actions["From the file: MEDIASTINUM: width 380, level 35 HU"].trigger()
    assert desk.bench.scene.window == windows["MEDIASTINUM"]

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread
from qtpy.QtCore import QPoint, Qt

from napari_ctclip.plugin.canvas.texts import CanvasTexts
from napari_ctclip.plugin.shell.study_widget import StudyWidget
from tests.phantom import BALL_CENTRE, SHAPE, ball_study
from tests.plugin.conftest import Desk

pytestmark = pytest.mark.gui


@pytest.fixture
def shown(make_desk: Callable[..., Desk]) -> Desk:
    """A window on the screen, the ball scan open."""
    desk = make_desk(show=True)
    desk.viewer.window.resize(1000, 640)
    desk.qtbot.wait(100)
    desk.open()
    return desk


def _canvas(desk: Desk) -> Any:
    return desk.viewer.window._qt_viewer.canvas


def _pixel_of(desk: Desk, index: tuple[int, int, int]) -> tuple[int, int]:
    """Return (row, column) on the canvas of a voxel of the slice shown."""
    place = desk.bench.scene.frame.index_to_display(index)[1:]
    camera = desk.viewer.scene.camera
    height, width = desk.viewer.canvas.size
    row, column = (place - np.asarray(camera.center[-2:])) * camera.zoom
    return round(row + height / 2), round(column + width / 2)


def _picture(desk: Desk) -> Any:
    desk.qtbot.wait(50)
    return desk.viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)


def test_heat_is_drawn_on_the_lesion(shown: Desk) -> None:
    shown.ask("bright spot")
    shown.widget.explore.show_row(0)
    shown.viewer.layers["Probe"].visible = False
    with_heat = _picture(shown)
    shown.heat("bright spot").visible = False
    changed = np.abs(with_heat - _picture(shown)).sum(axis=2)
    for name in ("reading", "legend"):
        shown.viewer.canvas.overlays[f"ctclip_{name}"].visible = False
    row, column = _pixel_of(shown, BALL_CENTRE)
    reach = round(8.0 * shown.viewer.scene.camera.zoom)  # the ball's radius, mm
    inside = changed[row - reach // 2 : row + reach // 2, column - reach // 2 : column + reach // 2]
    assert inside.mean() > 60
    far = changed[row - reach // 2 : row + reach // 2, column - 5 * reach : column - 3 * reach]
    assert far.mean() < 3


def test_picture_is_radiological(shown: Desk) -> None:
    """The ball lies in the patient's left: on the right of the picture, where the letter says L."""
    shown.viewer.dims.set_current_step(0, BALL_CENTRE[0])
    picture = _picture(shown).sum(axis=2)
    row, column = _pixel_of(shown, BALL_CENTRE)
    assert column > picture.shape[1] / 2
    assert picture[row, column] > 700
    texts = {k: o.text for k, o in shown.viewer.canvas.overlays.items() if "letter" in k}
    assert texts["ctclip_letter_middle_right"] == "L"
    assert texts["ctclip_letter_top_center"] == "A"
    shown.viewer.dims.order = (1, 0, 2)
    assert shown.viewer.canvas.overlays["ctclip_letter_top_center"].text == "S"
    shown.viewer.dims.order = (2, 0, 1)
    assert shown.viewer.canvas.overlays["ctclip_letter_middle_right"].text == "P"


def test_layers_may_be_removed_by_hand_after_they_were_hidden(shown: Desk) -> None:
    shown.ask("bright spot")
    shown.widget.explore.show_row(0)
    for name in ("Heatmap: bright spot", "Organs", "Probe", "CT"):
        layer = shown.viewer.layers[name]
        layer.visible = False
        shown.qtbot.wait(30)
        shown.viewer.layers.remove(layer)
        shown.qtbot.wait(30)
    assert len(shown.viewer.layers) == 0
    assert shown.bench.session.study is None


_REMOVAL = """
import sys, time
import napari, numpy as np
from qtpy.QtWidgets import QApplication
from napari_ctclip.plugin.canvas.scene import Scene

def paint():
    for _ in range(15):
        QApplication.processEvents()
        time.sleep(0.01)

viewer = napari.Viewer(show=True)
viewer.window.resize(900, 600)
if "unguarded" not in sys.argv:
    Scene(viewer)
viewer.add_image(np.random.rand(20, 50, 50))
labels = viewer.add_labels(np.ones((20, 50, 50), int))
paint()
labels.visible = False
paint()
viewer.layers.remove(labels)
paint()
viewer.screenshot(flash=False)
viewer.close()
"""


def test_removing_a_hidden_layer_does_not_end_the_process() -> None:
    """Without the guard of _compat this ends in a segmentation fault (UX pitfall P1)."""
    done = subprocess.run([sys.executable, "-c", _REMOVAL], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_row_click_goes_to_the_peak_and_marks_it(shown: Desk) -> None:
    shown.ask("bright spot")
    shown.viewer.dims.set_current_step(0, 0)
    table = shown.widget.explore.table
    place = table.visualRect(table.model().index(0, 3)).center()
    shown.qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    peak = shown.bench.prompts.state.rows[0].peak
    assert shown.viewer.dims.current_step[0] == peak[0]
    assert shown.viewer.layers["Probe"].data[0] == pytest.approx(peak)


def test_tick_shows_and_hides_without_jumping(shown: Desk) -> None:
    shown.ask("bright spot")
    shown.viewer.dims.set_current_step(0, 0)
    table = shown.widget.explore.table
    cell = table.visualRect(table.model().index(0, 0))
    tick = QPoint(cell.left() + 10, cell.center().y())
    shown.qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=tick)
    assert not shown.heat("bright spot").visible
    assert shown.viewer.dims.current_step[0] == 0
    shown.heat("bright spot").visible = True
    assert shown.bench.prompts.state.rows[0].shown


def _click(desk: Desk, index: tuple[int, int, int], *, drag: int = 0) -> None:
    native = _canvas(desk).native
    row, column = _pixel_of(desk, index)
    start = QPoint(column, row)
    desk.qtbot.mouseMove(native, start)
    desk.qtbot.mousePress(native, Qt.MouseButton.LeftButton, pos=start)
    if drag:
        desk.qtbot.mouseMove(native, start + QPoint(drag, 0))
    desk.qtbot.mouseRelease(native, Qt.MouseButton.LeftButton, pos=start + QPoint(drag, 0))
    desk.qtbot.wait(20)


def test_click_probes_hu_organ_and_findings_but_a_drag_does_not(shown: Desk) -> None:
    shown.ask("bright spot")
    shown.viewer.dims.set_current_step(0, BALL_CENTRE[0])
    found: list[Any] = []
    shown.bench.probe.probed.connect(lambda probe, is_ranking: found.append(probe))
    _click(shown, BALL_CENTRE)
    shown.wait()
    count = len(found)
    assert count == 2
    assert np.abs(np.subtract(found[-1].index, BALL_CENTRE)).max() <= 1
    assert found[-1].hounsfield == 700
    text = shown.widget.explore.probe.text.text()
    assert "left lung" in text
    assert "1. bright spot" in text
    _click(shown, BALL_CENTRE, drag=60)
    shown.wait()
    assert len(found) == count


def test_windows_set_contrast_and_the_text_on_the_canvas(shown: Desk) -> None:
    shown.widget.explore.windows.next()
    shown.widget.explore.windows.next()
    assert shown.bench.scene.ct.contrast_limits == [-160.0, 240.0]
    assert "W 400  L 40" in shown.viewer.canvas.overlays["ctclip_reading"].text


def test_keys_act_on_the_viewer(shown: Desk) -> None:
    keymap = {str(key): bound for key, bound in shown.viewer.keymap.items()}
    keymap["G"](shown.viewer)
    assert not shown.viewer.layers["Organs"].visible
    keymap["Alt+3"](shown.viewer)
    assert shown.bench.scene.ct.contrast_limits == [-770.0, 1730.0]
    keymap["Q"](shown.viewer)
    assert not shown.widget.explore.probe.armed.isChecked()


def test_slider_steps_through_the_slices_of_the_ct_only(open_desk: Desk) -> None:
    open_desk.ask("bright spot")
    open_desk.widget.explore.show_row(0)
    assert open_desk.viewer.dims.nsteps[0] == SHAPE[0]
    assert {str(u) for layer in open_desk.viewer.layers for u in layer.units} == {"millimeter"}


def test_reopened_panel_shows_what_was_there(open_desk: Desk) -> None:
    open_desk.ask("bright spot")
    open_desk.viewer.window.remove_dock_widget(open_desk.widget)
    again = StudyWidget(open_desk.viewer)
    open_desk.viewer.window.add_dock_widget(again, name="CT-CLIP", area="right")
    assert again.workbench is open_desk.bench
    assert again.explore.table.model().rowCount() == 1
    assert again.explore.selected_prompt().prompt.positive == "bright spot"
    open_desk.widget = again
    open_desk.ask("dark hole")
    assert open_desk.heat("dark hole").visible


@pytest.mark.parametrize("closes", ["panel", "viewer"])
def test_closing_while_encoding_stops_quietly(open_desk: Desk, closes: str) -> None:
    release = open_desk.ask_and_hold("bright spot")
    if closes == "panel":
        open_desk.viewer.window.remove_dock_widget(open_desk.widget)
        release.set()
        open_desk.wait()
        assert not open_desk.bench.session.is_ready
    else:
        jobs = open_desk.bench.jobs
        open_desk.viewer.close()
        open_desk.qtbot.waitUntil(lambda: jobs.is_closed)  # Qt deletes the window a little later
        release.set()
        open_desk.qtbot.wait(300)
        assert len(open_desk.model.encoded_on) == 1
        jobs.close()


def test_two_scans_can_be_switched_and_removed(open_desk: Desk) -> None:
    open_desk.ask("bright spot")
    open_desk.open(ball_study(with_masks=False))
    combo = open_desk.widget.explore.volume
    first, second = combo.choices
    assert open_desk.bench.studies.layer is second
    assert not first.visible
    combo.value = first
    open_desk.wait()
    assert open_desk.bench.session.study.organ_masks is not None
    assert open_desk.bench.session.answer_to("bright spot") is not None
    open_desk.viewer.layers.remove(first)
    open_desk.wait()
    assert open_desk.bench.studies.layer is second
    assert second.visible


def test_canvas_texts_go_when_the_scan_goes(open_desk: Desk) -> None:
    open_desk.viewer.layers.clear()
    overlays = open_desk.viewer.canvas.overlays
    assert not any(o.visible for key, o in overlays.items() if key.startswith("ctclip_"))
    assert isinstance(open_desk.bench.scene.texts, CanvasTexts)


def test_demo_saves_its_window_and_keeps_the_answers(
    make_desk: Callable[..., Desk], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_ctclip.plugin.shell import demo

    desk = make_desk(show=True)
    ball = ball_study()

    def open_window(source: Any, *, model: str) -> tuple[Any, StudyWidget]:
        desk.bench.studies.open_study(ball)
        return desk.viewer, desk.widget

    monkeypatch.setattr(demo, "open_window", open_window)
    session = demo.run_demo(tmp_path / "any.nii.gz", tmp_path / "out", interactive=True)
    assert {a.prompt.positive for a in session.answers} == set(demo.DEMO_PROMPTS)
    picture = imread(tmp_path / "out" / "window.png")[..., :3]
    canvas = picture[picture.shape[0] // 3 : -picture.shape[0] // 3, 350:900]
    assert canvas.max() > 0.8
    assert desk.viewer.layers.selection is not None


def test_panel_opens_from_the_plugins_menu_as_napari_does(
    make_napari_viewer: Any, model: Any, qtbot: Any
) -> None:
    """napari hands a plugin's widget a proxy of the viewer, not the viewer."""
    viewer = make_napari_viewer()
    _, widget = viewer.window.add_plugin_dock_widget("napari-ctclip", "CT-CLIP")
    widget.workbench.studies.makes_masks_at_once = False
    widget.workbench.studies.open_study(ball_study())
    desk = Desk(viewer, widget, model, qtbot)
    desk.wait()
    desk.ask("bright spot")
    assert desk.heat("bright spot").visible
    viewer.layers.remove(desk.heat("bright spot"))
    assert widget.workbench.viewer is viewer

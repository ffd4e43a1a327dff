"""What the canvases show: letters and sides, linked planes, 3D, the window by mouse, the strip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations, product
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt

from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume, Window
from napari_ctclip.io import read_volume
from napari_ctclip.plugin.orientation_letters import LETTER_COLOUR
from napari_ctclip.plugin.views import View
from tests.phantom import BALL_CENTRE, ball_study
from tests.plugin.conftest import Desk

pytestmark = pytest.mark.gui

_SIDE, _BLOCK = 32, 7
_CORNERS = ["".join(c) for c in product("RL", "AP", "SI")]
_HU_OF = {corner: 100 * number for number, corner in enumerate(_CORNERS, start=1)}
_WINDOW = Window(450.0, 900.0)  # 0 to 900 HU: a gray level for each corner
_CODES = ["".join(axes) for order in permutations(("RL", "AP", "SI")) for axes in product(*order)]


def _write(folder: Path, ras: Any, codes: str) -> Path:
    """Write an array of axes Right, Anterior, Superior as a file stored in another order."""
    image = nibabel.Nifti1Image(ras, np.diag([2.0, 2.0, 2.0, 1.0]))
    now = nibabel.orientations.axcodes2ornt("RAS")
    turn = nibabel.orientations.ornt_transform(now, nibabel.orientations.axcodes2ornt(codes))
    path = folder / f"{codes}.nii"
    nibabel.save(image.as_reoriented(turn), path)
    return path


def _corner_phantom() -> Any:
    """Return air about a body, and a block of its own HU in each corner; axes R, A, S."""
    ras = np.full((_SIDE,) * 3, -1000, np.int16)
    ras[10:22, 10:22, 10:22] = 40
    for corner, hu in _HU_OF.items():
        place = tuple(
            slice(-_BLOCK, None) if letter in "RAS" else slice(0, _BLOCK) for letter in corner
        )
        ras[place] = hu
    return ras


@pytest.fixture
def shown(make_desk: Callable[..., Desk]) -> Desk:
    """A window on the screen."""
    desk = make_desk(show=True)
    desk.viewer.window.resize(1280, 720)
    desk.qtbot.wait(100)
    return desk


def _canvases(desk: Desk) -> Iterator[tuple[Any, Any]]:
    """Yield (viewer model, canvas) of the three planes."""
    yield desk.viewer, desk.viewer.window._qt_viewer
    for plane in desk.bench.views.planes:
        yield plane.model, plane.canvas


def _picture(canvas: Any) -> Any:
    return np.asarray(canvas.screenshot(flash=False))[..., :3].astype(int)


def _show_planes(desk: Desk) -> None:
    desk.bench.views.show(View.PLANES)
    desk.qtbot.wait(100)


def _pixel(model: Any, index: tuple[int, int, int], desk: Desk) -> QPoint:
    """Return where a voxel lies on a canvas that shows its plane."""
    place = desk.bench.scene.frame.index_to_display(index)[list(model.dims.order[-2:])]
    camera, (height, width) = model.scene.camera, model.canvas.size
    row, column = (place - np.asarray(camera.center[-2:])) * camera.zoom
    return QPoint(round(column + width / 2), round(row + height / 2))


def test_letters_and_sides_are_right_in_three_planes_for_all_48_orders(
    shown: Desk, tmp_path: Path
) -> None:
    """Each block is seen on the sides whose letters it is named after."""
    assert len(set(_CODES)) == 48
    phantom = _corner_phantom()
    for number, codes in enumerate(_CODES):
        volume = read_volume(_write(tmp_path, phantom, codes)).volume
        if number == 0:
            shown.open(Study(volume))
            shown.bench.scene.set_window(_WINDOW)
            _show_planes(shown)
            for model, _ in _canvases(shown):
                for name in ("scale_bar", "ctclip_reading"):
                    if name in model.canvas.overlays:
                        model.canvas.overlays[name].visible = False
            first = volume
        assert volume.stored_geometry.axis_codes == codes
        assert volume.geometry.coincides_with(first.geometry)
        shown.bench.scene.ct.data = volume.voxels
        near = 3 if number % 2 == 0 else _SIDE - 4  # through corners of either side
        shown.bench.scene.turn_to((near, near, near))
        for model, canvas in _canvases(shown):
            _assert_sides(model, _picture(canvas), codes)


def _assert_sides(model: Any, picture: Any, codes: str) -> None:
    height, width = picture.shape[:2]
    letters = {
        edge: model.canvas.overlays[f"ctclip_letter_{edge}"].text
        for edge in ("top_center", "bottom_center", "middle_left", "middle_right")
    }
    is_gray = np.ptp(picture, axis=2) < 4
    seen = 0
    for corner, hu in _HU_OF.items():
        level = 255 * hu / 900
        rows, columns = np.nonzero(is_gray & (np.abs(picture[..., 0] - level) < 5))
        if len(rows) < 60:  # its plane is not the one shown
            continue
        seen += 1
        row, column = np.median(rows), np.median(columns)
        where = f"{codes}, block {corner} at {row}, {column} of {height}, {width}; {letters}"
        assert letters["top_center" if row < height / 2 else "bottom_center"] in corner, where
        assert letters["middle_left" if column < width / 2 else "middle_right"] in corner, where
    assert seen == 4, f"{codes}: {seen} blocks seen in plane {letters}"
    ink = [int(LETTER_COLOUR[i : i + 2], 16) for i in (1, 3, 5)]
    drawn = np.abs(picture - ink).max(axis=2) < 40
    third = height // 3, width // 3
    for edge in (
        drawn[: third[0]],
        drawn[-third[0] :],
        drawn[:, : third[1]],
        drawn[:, -third[1] :],
    ):
        assert edge.any(), f"{codes}: a letter of {letters} is not drawn"


def test_3d_is_not_mirrored(shown: Desk, tmp_path: Path) -> None:
    """From the front the patient's left is on the right, the back is veiled, all is seen."""
    ras = np.full((40, 40, 40), -1000, np.int16)
    ras[4:36, 15:25, 4:36] = 290  # tissue full of contrast between front and back
    ras[6:14, 30:38, 24:34] = 900  # left, in front
    ras[26:34, 2:10, 24:34] = 900  # right, behind
    shown.open(Study(read_volume(_write(tmp_path, ras, "LAS")).volume))
    shown.bench.views.show(View.VOLUME)
    shown.qtbot.wait(100)
    _assert_whole_scan_is_seen(shown)
    shown.viewer.window.resize(900, 720)  # the picture shrinks with its canvas
    shown.qtbot.wait(100)
    _assert_whole_scan_is_seen(shown)
    shown.viewer.canvas.overlays["scale_bar"].visible = False
    for name in ("axes", "ctclip_reading"):
        shown.viewer.canvas.overlays[name].visible = False
    picture = _picture(shown.viewer.window._qt_viewer)
    height, width = picture.shape[:2]
    is_white = picture.min(axis=2) > 225
    rows, columns = np.nonzero(is_white)
    assert len(rows) > 100
    assert np.median(columns) > width / 2, "the block in front lies in the patient's left"
    assert np.median(rows) < height / 2, "the head is up"
    mirror = picture[round(np.median(rows)), width - round(np.median(columns))]
    assert mirror[0] - mirror[2] > 25, "the block behind is seen through soft tissue"


def _assert_whole_scan_is_seen(desk: Desk) -> None:
    """The scan's corners, from the front, lie inside the canvas and fill most of it."""
    low, high = desk.bench.scene.frame.extent
    camera, (height, width) = desk.viewer.scene.camera, desk.viewer.canvas.size
    corners = (np.array([low, high]) - np.asarray(camera.center)) * camera.zoom
    down, right = corners[:, 0] + height / 2, corners[:, 2] + width / 2
    assert down.min() >= 0
    assert down.max() <= height
    assert right.min() >= 0
    assert right.max() <= width
    assert max(np.ptp(down) / height, np.ptp(right) / width) == pytest.approx(0.9, abs=0.03)


def test_3d_shows_thinned_layers_and_gives_the_planes_back(shown: Desk) -> None:
    shown.open()
    shown.ask("bright spot")
    layers = shown.viewer.layers
    shown.bench.scene.toggle_organs()
    shown.bench.scene.toggle_organs()
    shown.viewer.dims.ndisplay = 3  # napari's own button
    assert shown.bench.views.view is View.VOLUME
    assert not layers["CT"].visible
    assert layers["CT (3D)"].visible
    assert not layers["Organs (3D)"].visible  # they veil the heat, until they are asked for
    shown.bench.scene.toggle_organs()
    assert layers["Organs (3D)"].visible
    shown.bench.scene.outlines.show("lung_left", False)
    assert layers["Organs (3D)"].visible
    assert 2 not in np.unique(layers["Organs (3D)"].data)
    shown.bench.scene.toggle_organs()
    assert not layers["Organs (3D)"].visible
    shown.viewer.dims.ndisplay = 2
    assert shown.bench.views.view is View.PLANE
    assert layers["CT"].visible
    assert layers["Organs"].visible
    assert "CT (3D)" not in layers


def test_click_in_any_plane_turns_the_others(shown: Desk) -> None:
    shown.open()
    _show_planes(shown)
    coronal, sagittal = shown.bench.views.planes
    wanted = (12, 20, 40)
    shown.bench.scene.turn_to(wanted)
    target = (30, 20, 22)
    shown.qtbot.mouseClick(
        coronal.canvas.canvas.native, Qt.MouseButton.LeftButton,
        pos=_pixel(coronal.model, target, shown),
    )  # fmt: skip
    step = shown.viewer.dims.current_step
    assert np.abs(np.subtract(step, target)).max() <= 1
    assert sagittal.model.dims.current_step[2] == step[2]
    again = (step[0], 33, 10)
    shown.qtbot.mouseClick(
        shown.viewer.window._qt_viewer.canvas.native, Qt.MouseButton.LeftButton,
        pos=_pixel(shown.viewer, again, shown),
    )  # fmt: skip
    assert abs(coronal.model.dims.current_step[1] - 33) <= 1
    assert abs(sagittal.model.dims.current_step[2] - 10) <= 1
    lines = sagittal.canvas._ctclip_cross
    assert lines.visible
    point = shown.viewer.dims.point
    assert lines.pos[0][1] == pytest.approx(point[0])
    assert lines.pos[2][0] == pytest.approx(point[1])


def test_planes_follow_window_heat_and_a_second_scan(shown: Desk) -> None:
    shown.open()
    _show_planes(shown)
    shown.ask("bright spot")
    model = shown.bench.views.planes[0].model
    shown.bench.scene.set_window(Window(0.0, 500.0))
    assert model.layers["CT"].contrast_limits == [-250.0, 250.0]
    assert model.layers["Heat: bright spot"].visible
    shown.heat("bright spot").visible = False
    assert not model.layers["Heat: bright spot"].visible
    shown.open(ball_study(with_masks=False))
    assert [layer.visible for layer in model.layers if layer.name.startswith("CT")] == [False, True]
    shown.viewer.layers.clear()
    assert len(model.layers) == 0
    assert shown.bench.views.view is View.PLANE
    assert not shown.bench.views.planes[0].isVisible()
    shown.open()
    _show_planes(shown)
    assert [plane.model.dims.order for plane in shown.bench.views.planes] == [(1, 0, 2), (2, 0, 1)]
    assert all(plane.isVisible() for plane in shown.bench.views.planes)


def test_u_cycles_the_views_and_the_buttons_follow(shown: Desk) -> None:
    shown.bench.views.next()
    assert shown.bench.views.view is View.PLANE  # nothing is open
    shown.open()
    keymap = {str(key): bound for key, bound in shown.viewer.keymap.items()}
    buttons = shown.widget.explore.views.buttons
    for view in (View.PLANES, View.VOLUME, View.PLANE):
        keymap["U"](shown.viewer)
        assert shown.bench.views.view is view
        assert buttons[view].isChecked()


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


def test_strip_shows_every_visible_prompt_and_turns_the_slices(shown: Desk) -> None:
    shown.open()
    strip = shown.bench.slices.strip
    assert not strip.isVisible()
    shown.ask("bright spot")
    shown.ask("dark hole")
    shown.bench.prompts.set_shown("bright spot", True)
    assert [track.name for track in strip.tracks] == ["bright spot", "dark hole"]
    rows = shown.bench.prompts.table.rows
    assert [track.colour for track in strip.tracks] == [row.colour for row in rows]
    shown.qtbot.mouseClick(
        strip, Qt.MouseButton.LeftButton, pos=QPoint(20, round(strip.place_of(33)))
    )
    assert shown.viewer.dims.current_step[0] == 33
    shown.qtbot.keyClick(strip, Qt.Key.Key_Up)
    assert shown.viewer.dims.current_step[0] == 32
    assert "slice 32 of 40" in strip.accessibleDescription()
    shown.bench.prompts.set_shown("dark hole", False)
    shown.bench.prompts.set_shown("bright spot", False)
    assert strip.tracks == ()
    assert strip.isVisible()  # the canvas keeps its size
    shown.viewer.layers.clear()
    assert not strip.isVisible()


def test_strip_is_coloured_where_the_prompt_is_high_and_keys_go_to_its_peak(shown: Desk) -> None:
    shown.open()
    shown.ask("bright spot")
    strip = shown.bench.slices.strip
    (track,) = strip.tracks
    highest = np.where(np.isfinite(track.profile.highest), track.profile.highest, -np.inf)
    best = int(np.argmax(highest))
    picture = strip.grab().toImage()
    ratio = picture.devicePixelRatio()
    tone = [int(track.colour[i : i + 2], 16) for i in (1, 3, 5)]

    def reach(number: int) -> int:
        y = round(strip.place_of(number) * ratio)
        pixels = [picture.pixelColor(x, y).getRgb()[:3] for x in range(picture.width())]
        hue = np.sign(np.subtract(tone, np.mean(tone)))
        return sum(
            bool(np.ptp(p) > 40 and (np.sign(np.subtract(p, np.mean(p))) == hue).all())
            for p in pixels
        )

    low = int(np.nanargmin(track.profile.highest))
    assert reach(best) > reach(low)
    shown.bench.slices.show_slice(0)
    shown.qtbot.keyClick(strip, Qt.Key.Key_Return)
    frame = shown.bench.scene.frame
    places = sorted(frame.world_to_index(peak.world_mm) for peak in track.profile.peaks)
    assert shown.viewer.dims.current_step[0] == next(
        (p[0] for p in places if p[0] > 0), places[0][0]
    )


def test_removing_the_scan_while_it_is_encoded_leaves_a_usable_window(shown: Desk) -> None:
    shown.open()
    _show_planes(shown)
    release = shown.ask_and_hold("bright spot")
    shown.viewer.layers.remove(shown.bench.studies.layer)
    release.set()
    shown.wait()
    assert shown.bench.session.study is None
    assert not shown.bench.session.is_ready
    shown.open()
    shown.wait()
    assert shown.bench.session.answer_to("bright spot") is not None
    assert shown.heat("bright spot").visible


def test_closing_the_window_with_three_planes_while_encoding_stops_quietly(shown: Desk) -> None:
    shown.open()
    _show_planes(shown)
    release = shown.ask_and_hold("bright spot")
    jobs = shown.bench.jobs
    shown.viewer.close()
    shown.qtbot.waitUntil(lambda: jobs.is_closed)  # Qt deletes the window a little later
    release.set()
    shown.qtbot.wait(300)
    assert len(shown.model.encoded_on) == 1
    jobs.close()


def test_heat_is_drawn_over_the_lesion_in_all_three_planes(shown: Desk) -> None:
    """The pixels that the heat colours lie about the ball, wherever else the model says nothing."""
    shown.open()
    shown.bench.scene.set_window(Window(40.0, 400.0))
    before = {}
    shown.ask("bright spot")
    shown.bench.scene.set_heat_range(0.3, 0.6)
    _show_planes(shown)
    shown.bench.scene.turn_to(BALL_CENTRE)
    for name in ("Probe", "Organs"):
        if name in shown.viewer.layers:
            shown.viewer.layers[name].visible = False
    heat = shown.heat("bright spot")
    heat.colorbar.visible = False
    for visible in (False, True):
        heat.visible = visible
        shown.viewer.canvas.overlays["ctclip_legend"].visible = False  # comes with the heat
        shown.qtbot.wait(50)
        for model, canvas in _canvases(shown):
            picture = _picture(canvas)
            if not visible:
                before[model] = picture
                continue
            rows, columns = np.nonzero(np.abs(picture - before[model]).max(axis=2) > 40)
            wanted = _pixel(model, BALL_CENTRE, shown)
            reach = 12.0 * model.scene.camera.zoom  # mm: the ball's radius and one token
            off = np.hypot(rows - wanted.y(), columns - wanted.x())
            assert len(rows) > 50, "heat is drawn"
            assert np.mean(off < reach) > 0.95, f"{np.median(rows)}, {np.median(columns)}: {wanted}"


def test_turning_to_3d_and_back_never_slices_the_scan_whole(
    shown: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """512 x 512 x 400 voxels sent to the graphics card, then hidden, took most of the wait."""
    shown.open()
    ct, outlines = shown.bench.scene.ct, shown.bench.scene.outlines.layer
    sliced = []
    for layer in (ct, outlines):
        layer.events.set_data.connect(
            lambda event: sliced.append(event.source._slice_input.ndisplay)
        )
    for ndisplay in (3, 2, 3, 2):
        shown.viewer.dims.ndisplay = ndisplay
        shown.qtbot.wait(20)
    assert sliced
    assert set(sliced) == {2}

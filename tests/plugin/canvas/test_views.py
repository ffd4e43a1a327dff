"""What the canvases show: letters and sides, linked planes, 3D, the window by mouse, the strip."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations, product
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt

from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Window
from napari_ctclip.io import read_volume
from napari_ctclip.plugin.canvas.texts import LETTER_COLOUR
from napari_ctclip.plugin.canvas.views import View
from tests.phantom import BALL_CENTRE
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


def _canvases(desk: Desk) -> Iterator[tuple[Any, Any]]:
    """Yield (viewer model, canvas) of the three planes."""
    yield desk.viewer, desk.viewer.window._qt_viewer
    for plane in desk.bench.views.planes:
        yield plane.model, plane.canvas


def _picture(canvas: Any) -> Any:
    return np.asarray(canvas.screenshot(flash=False))[..., :3].astype(int)


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
            shown.show_planes()
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
    shown.show_planes()
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


def test_heat_is_drawn_over_the_lesion_in_all_three_planes(shown: Desk) -> None:
    """The pixels that the heat colours lie about the ball, wherever else the model says nothing."""
    shown.open()
    shown.bench.scene.set_window(Window(40.0, 400.0))
    before = {}
    shown.ask("bright spot")
    shown.bench.prompts.state.choose_range(0.3, 0.6)
    shown.show_planes()
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

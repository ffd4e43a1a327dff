"""An ROI drawn or clicked with the mouse, in any plane."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt

from napari_ctclip.core.roi import Roi, RoiKind
from napari_ctclip.regions.drawn_region import roi_region
from tests.phantom import BALL_CENTRE, ball_study
from tests.plugin.conftest import Desk

pytestmark = pytest.mark.gui


@pytest.fixture
def drawing(shown: Desk) -> Desk:
    """A window on the screen, with the tab in front."""
    shown.open()
    titles = [shown.widget.tabs.tabText(i) for i in range(shown.widget.tabs.count())]
    shown.widget.tabs.setCurrentIndex(titles.index("ROI"))
    shown.show_planes()
    return shown


def _drag(desk: Desk, canvas: Any, by: QPoint) -> None:
    native = canvas.canvas.native
    start = QPoint(native.width() // 2, native.height() // 2)
    desk.qtbot.mouseMove(native, start)
    desk.qtbot.wait(20)  # the canvas leaves out moves that follow another within 10 ms
    desk.qtbot.mousePress(native, Qt.MouseButton.LeftButton, pos=start)
    for step in (1, 2):
        desk.qtbot.wait(20)
        desk.qtbot.mouseMove(native, start + by * step / 2)
    desk.qtbot.wait(20)
    desk.qtbot.mouseRelease(native, Qt.MouseButton.LeftButton, pos=start + by)


def test_a_sphere_is_drawn_in_any_plane_and_the_picture_stays(drawing: Desk) -> None:
    drawing.widget.roi.tools.sphere.click()
    planes = [(drawing.viewer, drawing.viewer.window._qt_viewer)]
    planes += [(plane.model, plane.canvas) for plane in drawing.bench.views.planes]
    for model, canvas in planes:
        eye, zoom = model.scene.camera.center, model.scene.camera.zoom
        by = QPoint(0, 20)
        _drag(drawing, canvas, by)
        roi = drawing.bench.roi.roi
        assert roi.kind is RoiKind.SPHERE
        assert roi.radius_mm == pytest.approx(20 / zoom, abs=0.15)
        assert model.scene.camera.center == eye
        drawing.wait()
        assert drawing.widget.roi.tools.radius.value() == roi.radius_mm
        outline = drawing.viewer.layers["ROI"]
        assert outline.data.sum() == drawing.bench.roi.region.mask.sum()
        copy = next(layer for layer in model.layers if layer.name == "ROI")
        np.testing.assert_array_equal(copy.data, outline.data)
        np.testing.assert_allclose(copy.translate, outline.translate)
    assert "HU" in drawing.widget.roi.text.text()


def test_a_box_reaches_as_far_across_the_plane_as_is_set(drawing: Desk) -> None:
    tools = drawing.widget.roi.tools
    tools.box.click()
    tools.sides[1].setValue(8.0)
    coronal = drawing.bench.views.planes[0]
    zoom = coronal.model.scene.camera.zoom
    _drag(drawing, coronal.canvas, QPoint(24, 12))
    roi = drawing.bench.roi.roi
    assert roi.kind is RoiKind.BOX
    spacing = drawing.bench.session.study.volume.geometry.spacing_mm
    up, front, right = roi.sides_mm
    assert front == 8.0
    assert up == pytest.approx(12 / zoom, abs=2 * spacing[0])
    assert right == pytest.approx(24 / zoom, abs=2 * spacing[2])
    assert tools.sides[2].value() == pytest.approx(right, abs=0.06)


def test_a_click_sets_the_roi_while_the_tab_is_shown(drawing: Desk) -> None:
    drawing.bench.probe.at(BALL_CENTRE)
    drawing.wait()
    assert drawing.bench.roi.roi.centre == BALL_CENTRE
    drawing.widget.tabs.setCurrentIndex(0)
    drawing.bench.probe.at((5, 12, 12))
    drawing.wait()
    assert drawing.bench.roi.roi.centre == BALL_CENTRE
    drawing.widget.tabs.setCurrentIndex(1)
    drawing.widget.roi.tools.follow.setChecked(False)
    drawing.bench.probe.at((5, 12, 12))
    assert drawing.bench.roi.roi.centre == BALL_CENTRE


def test_a_dragged_box_holds_both_corners_and_no_more() -> None:
    study = ball_study()
    geometry = study.volume.geometry
    depth = 3 * geometry.spacing_mm[0]
    roi = Roi.box_between(geometry, (10, 12, 20), (10, 9, 14), across=0, depth_mm=depth)
    region = roi_region(roi, study)
    assert region.start == (9, 9, 14)
    assert region.mask.shape == (3, 4, 7)

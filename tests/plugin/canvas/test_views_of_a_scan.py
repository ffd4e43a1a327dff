"""What the views do when the scan changes, goes or is encoded, and what they never slice."""

from __future__ import annotations

import pytest

from napari_ctclip.core.volume import Window
from napari_ctclip.plugin.canvas.views import View
from tests.phantom import ball_study
from tests.plugin.conftest import Desk

pytestmark = pytest.mark.gui


def test_planes_follow_window_heat_and_a_second_scan(shown: Desk) -> None:
    shown.open()
    shown.show_planes()
    shown.ask("bright spot")
    model = shown.bench.views.planes[0].model
    shown.bench.scene.set_window(Window(0.0, 500.0))
    assert model.layers["CT"].contrast_limits == [-250.0, 250.0]
    assert model.layers["Heatmap: bright spot"].visible
    shown.heat("bright spot").visible = False
    assert not model.layers["Heatmap: bright spot"].visible
    shown.open(ball_study(with_masks=False))
    assert [layer.visible for layer in model.layers if layer.name.startswith("CT")] == [False, True]
    shown.viewer.layers.clear()
    assert len(model.layers) == 0
    assert shown.bench.views.view is View.PLANE
    assert not shown.bench.views.planes[0].isVisible()
    shown.open()
    shown.show_planes()
    assert [plane.model.dims.order for plane in shown.bench.views.planes] == [(1, 0, 2), (2, 0, 1)]
    assert all(plane.isVisible() for plane in shown.bench.views.planes)


def test_removing_the_scan_while_it_is_encoded_leaves_a_usable_window(shown: Desk) -> None:
    shown.open()
    shown.show_planes()
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
    shown.show_planes()
    release = shown.ask_and_hold("bright spot")
    jobs = shown.bench.jobs
    shown.viewer.close()
    shown.qtbot.waitUntil(lambda: jobs.is_closed)  # Qt deletes the window a little later
    release.set()
    shown.qtbot.wait(300)
    assert len(shown.model.encoded_on) == 1
    jobs.close()


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

"""What is made cheap for each slice looks as napari would draw it."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels
from napari.layers.labels._labels_utils import get_contours
from qtpy.QtCore import QTimer
from scipy import ndimage

from napari_ctclip.plugin.canvas._compat_layers import (
    inner_outlines,
    prepare_labels,
    step_quickly,
)
from napari_ctclip.plugin.study import study_flow
from tests.plugin.conftest import Desk


@pytest.mark.parametrize("thickness", [1, 2, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_outlines_are_those_of_napari(thickness: int, dtype: Any) -> None:
    noise = ndimage.gaussian_filter(np.random.default_rng(0).random((60, 70)), 3.0)
    labels = np.digitize(noise, np.quantile(noise, [0.3, 0.6, 0.8])).astype(dtype)
    assert len(np.unique(labels)) == 4
    expected = get_contours(labels, thickness, 0)
    assert (expected != labels).any()
    np.testing.assert_array_equal(
        inner_outlines(labels, thickness=thickness, background=0), expected
    )


def test_a_layer_that_steps_quickly_draws_its_outlines_so(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.zeros((4, 12, 14), np.uint8)
    labels[:, 3:9, 2:11] = np.array([1, 2, 3, 4])[:, None, None]
    viewer, layer = ViewerModel(), Labels(labels)
    viewer.layers.append(layer)
    layer.contour = 1
    expected = np.asarray(layer._slice.image.view).copy()
    monkeypatch.setattr("napari.layers.labels.labels.get_contours", None)  # it is asked no more
    step_quickly(layer)
    viewer.dims.set_current_step(0, (int(viewer.dims.current_step[0]) + 1) % 4)
    found = np.asarray(layer._slice.image.view)
    np.testing.assert_array_equal(found != 0, expected != 0)
    assert found.max() != expected.max(), "another slice, another label"


def test_thumbnails_wait_until_stepping_stops(qtbot: Any) -> None:
    viewer, layer = ViewerModel(), Image(np.random.default_rng(0).random((9, 8, 8)))
    viewer.layers.append(layer)
    step_quickly(layer)
    drawn: list[int] = []
    layer.events.thumbnail.connect(lambda: drawn.append(viewer.dims.current_step[0]))
    for number in (1, 2, 3):
        viewer.dims.set_current_step(0, number)
    assert drawn == []
    qtbot.waitUntil(lambda: bool(drawn), timeout=20_000)
    assert drawn == [3]


def test_a_layer_collected_on_another_thread_takes_no_timer_with_it(qapp: Any) -> None:
    layers = [Image(np.zeros((9, 8, 8)))]
    step_quickly(layers[0])
    layers[0]._update_thumbnail()
    (timer,) = (t for t in qapp.findChildren(QTimer) if type(t).__name__ == "_Thumbnails")
    gone = weakref.ref(layers[0])

    def collect() -> None:
        layers.clear()
        gc.collect()

    collector = threading.Thread(target=collect)
    collector.start()
    collector.join()
    assert gone() is None
    assert timer.isActive()
    assert timer.thread() is qapp.thread()
    timer.timeout.emit()


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_a_first_label_map_finds_its_colours_compiled(dtype: Any) -> None:
    from napari.utils.colormaps import _accelerated_cmap

    prepare_labels(dtype)
    loop = _accelerated_cmap._labels_raw_to_texture_direct_inner_loop
    known = len(loop.signatures)
    assert known
    Labels(np.ones((2, 6, 7), dtype), colormap={None: "transparent", 0: "transparent", 1: "red"})
    assert len(loop.signatures) == known


@pytest.mark.gui
def test_masks_prepare_labels_off_the_gui_thread(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []
    monkeypatch.setattr(
        study_flow, "prepare_labels", lambda dtype: threads.append(threading.get_ident())
    )
    desk.open()
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()

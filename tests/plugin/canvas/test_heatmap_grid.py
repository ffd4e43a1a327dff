"""Heat steps with the scan's slices, and says at each place what the map says there."""

from __future__ import annotations

from itertools import permutations, product
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Layer

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.core.volume import Volume
from napari_ctclip.plugin.canvas.heatmap_grid import heatmap_on_scan
from napari_ctclip.plugin.canvas.layers import Frame, ct_layer, heatmap_layer
from napari_ctclip.plugin.faithfulness.faithfulness_flow import change_layer

_CODES = ["".join(axes) for order in permutations(("RL", "AP", "SI")) for axes in product(*order)]
_SCAN = Geometry.from_spacing((11, 40, 48), (8.0, 1.5, 1.5), origin_ras=(60.0, 50.0, 900.0))
_SLOPE = np.array([0.001, -0.002, 0.003])  # of the value, a millimetre to the right, front and head


def _sloping_map(tokens: Geometry) -> SimilarityMap:
    index = np.stack(np.indices(tokens.shape), axis=-1)
    values = (tokens.index_to_world(index) @ _SLOPE).astype(np.float32)
    return SimilarityMap(values, tokens, Prompt("x"))


def _viewer(scan: Geometry, answer: SimilarityMap) -> tuple[ViewerModel, Any]:
    viewer, frame = ViewerModel(), Frame(scan)
    for data in (
        ct_layer(Volume(np.zeros(scan.shape, np.int16), scan)),
        heatmap_layer(answer, frame, colour="#ff9d2e", limits=(0.0, 1.0)),
    ):
        viewer.add_layer(Layer.create(*data))
    return viewer, viewer.layers[1]


def test_the_slider_steps_the_slices_of_a_thick_scan_for_all_48_orders() -> None:
    """Tokens of 4 mm on slices of 8: the slider counts slices, and each shows its own numbers."""
    assert len(set(_CODES)) == 48
    for codes in _CODES:
        prepared = _SCAN.reoriented(_SCAN.transform_to(codes)).resampled((2.0, 2.0, 2.0))
        viewer, heat = _viewer(_SCAN, _sloping_map(prepared.coarsened((2, 2, 2))))
        assert viewer.dims.nsteps == _SCAN.shape, codes
        assert viewer.dims.range[0].step == pytest.approx(8.0)
        for number in (0, 5, 10):
            viewer.dims.set_current_step(0, number)
            place = np.asarray(viewer.dims.point)
            assert Frame(_SCAN).display_to_index(place)[0] == number  # type: ignore[index]
            shown = np.rint(heat.world_to_data(place)).astype(int)
            assert 0 <= shown[0] < heat.data.shape[0]
            world = -np.asarray(heat.data_to_world(shown))[::-1]
            assert world[2] == pytest.approx(-place[0]), "the plane shown is the scan's own"
            # in the outermost half of a token values stay as they are at its centre
            assert heat.data[tuple(shown)] == pytest.approx(world @ _SLOPE, abs=2.0 * 0.003 + 1e-4)
            if number == 5:
                assert heat.data[tuple(shown)] == pytest.approx(world @ _SLOPE, abs=1e-4)


def test_coarse_tokens_within_the_scan_stay_as_they_are() -> None:
    tokens = _SCAN.coarsened((2, 4, 4)).cropped((0, 0, 0), (5, 10, 12))
    answer = _sloping_map(tokens)
    values, grid = heatmap_on_scan(answer, _SCAN)
    assert np.array_equal(values, answer.values)
    assert grid.coincides_with(tokens)


def test_tokens_centred_beyond_the_scan_do_not_lengthen_the_slider() -> None:
    """A window padded past the first slice: its token shows on the slices that it covers."""
    tokens = _SCAN.coarsened((2, 4, 4)).padded((1, 1, 1), (0, 1, 0))
    viewer, heat = _viewer(_SCAN, _sloping_map(tokens))
    viewer.add_layer(Layer.create(*change_layer(_sloping_map(tokens), Frame(_SCAN))))
    assert viewer.dims.nsteps == _SCAN.shape
    assert viewer.dims.range[0].start == pytest.approx(-900.0)
    middle = np.asarray(heat.data.shape) // 2
    world = -np.asarray(heat.data_to_world(middle))[::-1]
    assert heat.data[tuple(middle)] == pytest.approx(world @ _SLOPE, abs=1e-4)


def test_one_thin_token_between_two_slices_is_shown_on_the_nearer_one() -> None:
    tokens = Geometry.from_spacing((1, 10, 12), (2.0, 6.0, 6.0), origin_ras=(60.0, 50.0, 887.0))
    viewer, heat = _viewer(_SCAN, _sloping_map(tokens))
    assert viewer.dims.nsteps == _SCAN.shape
    assert heat.data.shape[0] == 1
    assert heat.data_to_world((0, 0, 0))[0] == pytest.approx(-900.0 + 2 * 8.0)

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.layers import Layer

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.core.volume import Volume
from napari_ctclip.models.interface import Calibration
from napari_ctclip.plugin.canvas.foreign_layers import volume_of_layer
from napari_ctclip.plugin.canvas.layers import (
    Frame,
    ct_layer,
    default_heatmap_range,
    heatmap_colormap,
    heatmap_layer,
)


def _oblique(degrees: float) -> Geometry:
    straight = Geometry.from_spacing((12, 20, 24), (3.0, 1.5, 1.0), origin_ras=(60, 50, 900))
    angle = np.radians(degrees)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return Geometry(straight.shape, turn @ straight.affine)


def _layer(data: Any) -> Any:
    return Layer.create(*data)


def test_world_of_a_voxel_is_minus_its_ras_place() -> None:
    geometry = Geometry.from_spacing((5, 6, 7), (3.0, 1.5, 0.7), origin_ras=(80.0, 70.0, 60.0))
    layer = _layer(ct_layer(Volume(np.zeros((5, 6, 7), np.int16), geometry)))
    for index in ((0, 0, 0), (4, 2, 6)):
        right, anterior, superior = geometry.index_to_world(index)
        assert layer.data_to_world(index) == pytest.approx((-superior, -anterior, -right))
    assert [str(unit) for unit in layer.units] == ["millimeter"] * 3


@pytest.mark.parametrize("codes", ["IPL", "SPL", "RAS", "LPI"])
@pytest.mark.parametrize("degrees", [0.0, 11.0])
def test_heat_lies_where_its_tokens_lie_on_the_ct(codes: str, degrees: float) -> None:
    scan = _oblique(degrees)
    prepared = scan.reoriented(scan.transform_to(codes)).resampled((2.0, 2.0, 2.0))
    whole = [n // 4 for n in prepared.shape]  # those centred beyond the scan are drawn otherwise
    tokens = prepared.coarsened((4, 4, 4)).cropped((0, 0, 0), whole)
    values = np.random.default_rng(0).random(tokens.shape).astype(np.float32)
    heat = _layer(
        heatmap_layer(
            SimilarityMap(values, tokens, Prompt("x")),
            Frame(scan),
            colour="#ff9d2e",
            limits=(0.0, 1.0),
        )
    )
    frame = Frame(scan)
    for token in ((0, 0, 0), (1, 2, 1)):
        place = scan.world_to_index(tokens.index_to_world(token)) * frame.scale + frame.translate
        found = tuple(np.rint(heat.world_to_data(place)).astype(int))
        assert heat.data[found] == values[token]


def test_heat_without_numbers_outside_the_field_of_view() -> None:
    scan = _oblique(0.0)
    tokens = scan.coarsened((4, 4, 4))
    values = np.full(tokens.shape, np.nan, np.float32)
    values[:2] = 0.5
    heat = _layer(
        heatmap_layer(
            SimilarityMap(values, tokens, Prompt("x")), Frame(scan), colour="#ff9d2e", limits=(0, 1)
        )
    )
    assert heat.data.shape[0] == 2
    assert np.isfinite(heat.data).all()


def test_heat_ramp_starts_transparent_and_grows() -> None:
    alpha = heatmap_colormap("#ff9d2e").map(np.linspace(0, 1, 5))[:, 3]
    assert alpha[0] == 0.0
    assert (np.diff(alpha) > 0).all()


def test_heat_range_follows_the_calibration() -> None:
    low, high = default_heatmap_range(Calibration(10.0, -2.0, "test"), 0.7)
    assert 1 / (1 + np.exp(-(10 * low - 2))) == pytest.approx(0.2)
    assert 1 / (1 + np.exp(-(10 * high - 2))) == pytest.approx(0.95)
    assert default_heatmap_range(None, 0.2) == (0.0, 0.2)


@pytest.mark.parametrize("scale", [(2.0, 1.0, 1.0), (-2.0, 1.0, -1.0)])
def test_volume_of_another_reader_is_taken_as_it_is_seen(scale: tuple[float, ...]) -> None:
    hu = np.random.default_rng(1).integers(-1000, 400, (6, 7, 8)).astype(np.float32)
    layer = Layer.create(hu, {"scale": scale, "translate": (5.0, 6.0, 7.0)}, "image")
    volume, notices = volume_of_layer(layer)
    assert "foreign-layer" in {notice.code for notice in notices}
    index = (1, 2, 3)
    down, back, left = layer.data_to_world(index)
    found = np.rint(volume.geometry.world_to_index((-left, -back, -down))).astype(int)
    assert volume.voxels[tuple(found)] == np.rint(hu[index])

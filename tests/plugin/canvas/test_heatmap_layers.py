"""Heatmap layers: what is drawn becomes what is to be drawn, in as few layers as may be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.plugin.canvas.heatmap_layers import Heatmap, HeatmapLayers
from napari_ctclip.plugin.canvas.layers import Frame
from napari_ctclip.plugin.canvas.own_layers import OwnLayers

_SCAN = Geometry.from_spacing((8, 16, 16), (4.0, 2.0, 2.0))
_TOKENS = _SCAN.coarsened((2, 4, 4))
_MAPS = {
    name: SimilarityMap(np.full(_TOKENS.shape, level, np.float32), _TOKENS, Prompt(name))
    for name, level in (("first", 0.1), ("second", 0.2), ("third", 0.3))
}


class Drawn:
    """Heatmap layers of a viewer, drawn by name."""

    def __init__(self) -> None:
        self.viewer: Any = ViewerModel()
        self.layers = HeatmapLayers(OwnLayers(self.viewer))
        self.layers.set_frame(Frame(_SCAN))

    def draw(self, limits: tuple[float, float] = (0.0, 1.0), **shown: bool) -> None:
        heatmaps = [Heatmap(_MAPS[name], "#ff9d2e", visible) for name, visible in shown.items()]
        self.layers.draw(heatmaps, limits=limits, opacity=0.75)

    def __getitem__(self, name: str) -> Any:
        return self.viewer.layers[f"Heatmap: {name}"]

    @property
    def visible(self) -> list[str]:
        names = [layer.name for layer in self.viewer.layers if layer.visible]
        return sorted(name.removeprefix("Heatmap: ") for name in names)


@pytest.fixture
def drawn(qapp: Any) -> Drawn:
    return Drawn()


def test_a_layer_that_is_shown_again_is_lent_to_no_other(drawn: Drawn) -> None:
    drawn.draw(first=True)
    first = drawn["first"]
    drawn.draw(first=False)
    drawn.draw(first=True, second=True)
    assert drawn["first"] is first
    assert drawn.visible == ["first", "second"]
    assert float(first.data.max()) == pytest.approx(0.1)


def test_a_hidden_layer_is_lent_to_a_heatmap_without_one(drawn: Drawn) -> None:
    drawn.draw(first=True)
    first = drawn["first"]
    drawn.draw(first=False, second=False)
    drawn.draw(first=False, second=True)
    assert drawn["second"] is first
    assert float(first.data.max()) == pytest.approx(0.2)
    drawn.draw(third=True)
    assert [layer.name for layer in drawn.viewer.layers] == ["Heatmap: third"]


def test_what_the_user_set_in_napari_stays_until_the_range_changes(drawn: Drawn) -> None:
    drawn.draw(first=True)
    drawn["first"].contrast_limits = (0.2, 0.4)
    drawn["first"].opacity = 0.3
    drawn.draw(first=True, second=True)
    assert drawn["first"].contrast_limits == [0.2, 0.4]
    assert drawn["first"].opacity == 0.3
    drawn.draw(limits=(0.1, 0.5), first=True, second=True)
    assert drawn["first"].contrast_limits == drawn["second"].contrast_limits == [0.1, 0.5]
    assert drawn["first"].opacity == 0.3


def test_a_layer_hidden_or_removed_by_hand_is_told(drawn: Drawn) -> None:
    told: list[tuple[str, bool]] = []
    drawn.layers.visible_changed.connect(lambda key, shown: told.append((key, shown)))
    drawn.draw(first=True, second=True)
    drawn["first"].visible = False
    drawn.viewer.layers.remove(drawn["second"])
    assert told == [("first", False), ("second", False)]

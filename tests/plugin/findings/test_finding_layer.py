"""The layer of the findings: drawn when a region changed, and only then."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_ctclip.core.finding import Finding
from napari_ctclip.core.region import Region
from napari_ctclip.plugin.canvas.layers import Frame
from napari_ctclip.plugin.canvas.own_layers import OwnLayers
from napari_ctclip.plugin.findings.finding_layer import FindingLayer
from tests.phantom import ball_study

pytestmark = pytest.mark.gui


def _finding(start: int) -> Finding:
    region = Region.of(np.ones((2, 2, 2), bool), start=(start, start, start))
    return Finding(f"at {start}", "nodule", (start,) * 3, (0.0, 0.0, 0.0), 30.0, region=region)


@pytest.fixture
def drawn() -> FindingLayer:
    """The layer on a scan, without a window."""
    layer = FindingLayer(OwnLayers(ViewerModel()))
    layer.set_frame(Frame(ball_study().volume.geometry))
    return layer


def _draws(drawn: FindingLayer) -> list[Any]:
    """Return a list that grows by one each time the layer is drawn anew."""
    seen: list[Any] = []
    drawn.layer.events.set_data.connect(seen.append)
    return seen


def test_a_new_name_or_note_draws_nothing_anew(drawn: FindingLayer) -> None:
    first, second = _finding(2), _finding(8)
    drawn.show([first, second])
    draws = _draws(drawn)
    drawn.show([replace(first, name="mass", note="seen before"), second])
    assert not draws
    assert (drawn.layer.data == 1).sum() == (drawn.layer.data == 2).sum() == 8


def test_another_region_a_rejected_one_and_another_order_are_drawn(drawn: FindingLayer) -> None:
    first, second = _finding(2), _finding(8)
    drawn.show([first, second])
    draws = _draws(drawn)
    drawn.show([second, first])
    assert (drawn.layer.data[8, 8, 8], drawn.layer.data[2, 2, 2]) == (1, 2)
    drawn.show([second, first.rejected()])
    assert not drawn.layer.data[2, 2, 2]
    drawn.show([_finding(5), first.rejected()])
    assert (drawn.layer.data[5, 5, 5], drawn.layer.data[8, 8, 8]) == (1, 0)
    assert len(draws) == 3


def test_a_stroke_that_was_not_taken_is_drawn_over(drawn: FindingLayer) -> None:
    finding = _finding(2)
    drawn.show([finding])
    drawn.layer.data[2, 2, 2] = 0
    drawn._on_painted(None)
    drawn.show([finding])
    assert drawn.layer.data[2, 2, 2] == 1

"""Deletion and insertion on an image whose deciding place is known."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.explanation.faithfulness import area, faithfulness_curves
from napari_ctclip.preprocessing.specification import ModelInput

GRID = Geometry.from_spacing((20, 40, 40), (2.0, 2.0, 2.0))
PATCH = (2, 2, 2)


@pytest.fixture
def bright():
    image = np.zeros((1, *GRID.shape), dtype=np.float32)
    image[0, 10:12, 20:22, 20:22] = 1.0
    return ModelInput(image, GRID, np.ones(GRID.shape, dtype=bool))


def _map(*, right):
    values = np.random.default_rng(0).random((10, 20, 20)).astype(np.float32)
    values[5, 10, 10] = 2.0 if right else -1.0
    return SimilarityMap(values, GRID.coarsened(PATCH), Prompt("x"))


def test_the_right_map_deletes_and_inserts_the_deciding_token_first(bright):
    def ask(x):
        return float(x.image.max())

    own = faithfulness_curves(bright, _map(right=True), ask, patch_size=PATCH)
    assert own.deletion[0] == own.insertion[-1] == 1.0
    assert own.deletion[1] < 0.05 < 0.9 < own.insertion[1]
    wrong = faithfulness_curves(bright, _map(right=False), ask, patch_size=PATCH)
    assert wrong.deletion[-2] == 1.0
    assert wrong.deletion[-1] < 0.05
    assert area(own.deletion) < area(wrong.deletion)
    assert area(own.insertion) > area(wrong.insertion)
    assert bright.image.max() == 1.0  # the scan itself is never changed

from __future__ import annotations

import numpy as np

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.regions.token_grid import thoracic_cavity_tokens

GRID = Geometry.from_spacing((30, 40, 60), (4.0, 4.0, 4.0))


def _tokens(mask: np.ndarray) -> np.ndarray:
    return np.flatnonzero(mask)


def test_fluid_behind_and_mediastinum_between_the_lungs_lie_in_the_cavity() -> None:
    z, y, x = np.indices(GRID.shape)
    right = ((z - 15) / 12) ** 2 + ((y - 20) / 14) ** 2 + ((x - 16) / 11) ** 2 < 1
    left = ((z - 15) / 12) ** 2 + ((y - 20) / 14) ** 2 + ((x - 44) / 11) ** 2 < 1
    fluid = left & (y > 24) & (z > 15)
    cavity = np.zeros(GRID.shape, dtype=bool)
    cavity.ravel()[thoracic_cavity_tokens(_tokens((right | left) & ~fluid), GRID)] = True
    assert cavity[fluid].mean() > 0.95
    assert cavity[15, 20, 30]
    assert cavity[right].all()
    assert not cavity[:, :2].any()
    assert not cavity[0].any()


def test_too_few_or_flat_lungs_have_no_cavity() -> None:
    speck = np.zeros(GRID.shape, dtype=bool)
    speck[10, 10, :5] = True
    assert len(thoracic_cavity_tokens(_tokens(speck), GRID)) == 0
    plane = np.zeros(GRID.shape, dtype=bool)
    plane[10] = True
    assert len(thoracic_cavity_tokens(_tokens(plane), GRID)) == 0

"""What nodules are told from, and emphysema too mild to be seen from afar."""

from __future__ import annotations

import numpy as np

from napari_ctclip.simulation.slice_painting import SlicePainting
from napari_ctclip.simulation.slice_textures import add_centrilobular
from napari_ctclip.simulation.slice_vessels import add_dome, add_hilum, add_vessels


def _painting(seed: int) -> tuple[SlicePainting, np.random.Generator]:
    rng = np.random.default_rng(seed)
    return SlicePainting.draw(rng, size=112, pixel_mm=0.7), rng


def test_a_dome_of_the_diaphragm_is_soft_tissue_and_no_lung() -> None:
    seen = 0
    for seed in range(12):
        painting, rng = _painting(seed)
        painting.depth[:] = 60.0
        add_dome(painting, rng)
        inside = painting.depth < -6
        seen += inside.sum() > 100
        assert not painting.is_lung[inside].any()
        assert np.all(painting.hu[inside] > -60)
        assert np.median(painting.hu[painting.depth > 12]) < -700
    assert seen >= 8


def test_vessels_and_hilum_are_as_dense_as_blood_and_leave_most_lung_aerated() -> None:
    wide = []
    for seed in range(12):
        painting, rng = _painting(seed)
        add_vessels(painting, rng)
        thin = (painting.hu > -300).mean()
        add_hilum(painting, rng)
        wide.append((painting.hu > -300).mean() - thin)
        assert painting.hu.max() < 260
        assert np.median(painting.hu) < -700
    assert np.mean(wide) > 0.015


def test_every_hole_of_mild_emphysema_is_marked() -> None:
    shares = []
    for seed in range(30):
        painting, rng = _painting(seed)
        before = painting.hu.copy()
        seen = add_centrilobular(painting, rng)
        holes = painting.hu < before - 0.5 * (before + 980)  # more than half way down to air
        assert seen[holes].all()
        shares.append(holes.mean())
    assert min(shares) < 0.05 < 0.3 < max(shares)

"""The scan every benchmark uses: 512 x 512 x 400 voxels, 0.7 x 0.7 x 1 mm, 210 MB of int16."""

from __future__ import annotations

import numpy as np

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume
from napari_ctclip.simulation import simulate_study

SHAPE = (400, 512, 512)
SPACING_MM = (1.0, 0.7, 0.7)


def large_study() -> Study:
    """Return a simulated chest blown up to the size of a thin-slice series, with its noise."""
    coarse = simulate_study(100_500, spacing_mm=(3.0, 3.0, 3.0)).study.volume.voxels
    index = [np.arange(n) * m // n for n, m in zip(SHAPE, coarse.shape, strict=True)]
    voxels = coarse[np.ix_(*index)]
    noise = np.random.default_rng(0).integers(-15, 16, (40, *SHAPE[1:]), dtype=np.int16)
    for start in range(0, SHAPE[0], 40):
        voxels[start : start + 40] += noise
    return Study(Volume(voxels, Geometry.from_spacing(SHAPE, SPACING_MM)))

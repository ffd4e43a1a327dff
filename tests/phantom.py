"""A small scan with one bright ball: what geometry and scoring tests look at."""

from __future__ import annotations

import numpy as np

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume

BALL_CENTRE = (20, 30, 44)
SHAPE = (40, 48, 64)
SPACING_MM = (2.0, 1.5, 1.5)


def ball_study(*, with_masks: bool = True) -> Study:
    """Return lung in soft tissue with a ball of 700 HU, 8 mm radius, at ``BALL_CENTRE`` (left)."""
    geometry = Geometry.from_spacing(SHAPE, SPACING_MM, origin_ras=(50.0, 40.0, 100.0))
    z, y, x = np.indices(SHAPE)
    offset = [
        (axis - centre) * spacing
        for axis, centre, spacing in zip((z, y, x), BALL_CENTRE, SPACING_MM, strict=True)
    ]
    distance = np.sqrt(sum(o**2 for o in offset))
    voxels = np.full(SHAPE, -900, dtype=np.int16)
    # a chest wall all around: without it nothing would read as CT, nor as inside a body
    voxels[:, :6] = voxels[:, -6:] = voxels[:, :, :6] = voxels[:, :, -6:] = 40
    voxels[distance < 8.0] = 700
    labels = np.where(x < SHAPE[2] // 2, 1, 2).astype(np.uint8)
    masks = OrganMasks(labels, {"lung_right": 1, "lung_left": 2}, geometry, source="phantom")
    return Study(Volume(voxels, geometry), masks if with_masks else None, study_id="ball")

"""Bone: what is dense and part of the skeleton, not contrast medium in vessels and heart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_ctclip.segmentation.morphology import Mask, closed, components, dilated
from napari_ctclip.segmentation.working_grid import WorkingGrid

__all__ = ["find_bone", "spine_column", "without_lung_vessels"]

_DENSE_HU = 180
"""Ours: cortical bone in blocks of 2-3 mm; best Dice of 160-250 on an abdomen with 61 labels."""

_MARROW_HU = 110
"""Ours: cancellous bone beside dense bone; muscle and liver stay below."""

_MARROW_MM = 6.0
"""Ours: how far from dense bone marrow is looked for."""

_CLOSING_MM = 8.0
"""Ours: a vertebral body is filled up to twice this between its end plates."""

_MARROW_LEAST_HU = 70
"""Ours: fatty marrow is given up: less would take discs and muscle in."""

_SMALLEST_ML = 0.6
"""Ours: smaller dense components are clips, calcified vessels, oral contrast or noise."""

_BLOOD_SPREAD_HU = 45.0
"""Ours: standard deviation in 3 x 3 x 3 blocks; opacified blood lies below, bone mostly above."""

_BLOOD_ML = 12.0
"""Ours: an even dense component this large is blood; a femoral head has 7 ml, an aorta 35."""

_BLOOD_RIM_MM = 7.0
"""Ours: the uneven rim of opacified blood: wall, moving edge, trabeculae."""

_INSIDE_LUNG = 0.6
"""Ours: a dense component with this share inside a lung is a vessel or a calcified lesion."""

_HALF_WINDOW_MM = 50.0
_SPINE_WIDTH_MM = 30.0
_LEAST_BONE_ML = 20.0
"""Ours: the spine is looked for near the middle of the body, where there is some bone at all."""


def find_bone(grid: WorkingGrid, body: Mask) -> Mask:
    """Return cortical and cancellous bone (d, h, w) inside the body."""
    spacing = grid.spacing_mm
    dense = body & (grid.hu > _DENSE_HU)
    dense &= ~_opacified_blood(grid, dense)
    labels, count = components(dense)
    keep = np.bincount(labels.ravel(), minlength=count + 1) * grid.voxel_ml >= _SMALLEST_ML
    keep[0] = False
    dense = keep[labels]
    marrow = dilated(dense, _MARROW_MM, spacing_mm=spacing) & (grid.hu > _MARROW_HU)
    marrow &= ~(grid.hu > _DENSE_HU)
    filled = closed(dense | marrow, _CLOSING_MM, spacing_mm=spacing)
    return filled & body & (grid.hu > _MARROW_LEAST_HU)


def without_lung_vessels(bone: Mask, lung: Mask) -> Mask:
    """Return bone without the components that lie inside the lung (both (d, h, w))."""
    labels, count = components(bone)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    inside = np.bincount(labels[lung], minlength=count + 1)
    keep = inside < _INSIDE_LUNG * sizes
    keep[0] = False
    return np.asarray(keep[labels])


def spine_column(grid: WorkingGrid, body: Mask) -> int:
    """Return the column x of the spine; the middle of the body where no bone is seen."""
    seen = np.asarray(body.any(axis=1))
    rows = [np.flatnonzero(row) for row in seen if row.any()]
    if not rows:
        return int(body.shape[2] // 2)
    middle = int(np.rint(np.median([(row[0] + row[-1]) / 2 for row in rows])))
    window = round(_HALF_WINDOW_MM / grid.spacing_mm[2])
    start = max(0, middle - window)
    part = (slice(None), slice(None), slice(start, middle + window))
    columns = (body[part] & (grid.hu[part] > _DENSE_HU)).sum(axis=(0, 1)).astype(np.float64)
    if columns.sum() * grid.voxel_ml < _LEAST_BONE_ML:
        return middle
    width = max(1, round(_SPINE_WIDTH_MM / grid.spacing_mm[2]))
    return start + int(np.argmax(np.convolve(columns, np.ones(width), mode="same")))


def _opacified_blood(grid: WorkingGrid, dense: Mask) -> Mask:
    """Return dense voxels of heart and large vessels: even inside, with a rim."""
    even = dense & (_spread(grid) < _BLOOD_SPREAD_HU)
    labels, count = components(even)
    keep = np.bincount(labels.ravel(), minlength=count + 1) * grid.voxel_ml >= _BLOOD_ML
    keep[0] = False
    return dilated(keep[labels], _BLOOD_RIM_MM, spacing_mm=grid.spacing_mm) & dense


def _spread(grid: WorkingGrid) -> npt.NDArray[np.float32]:
    """Return the standard deviation (d, h, w), HU, of each block and its neighbours."""
    size = [3 if s < 4.5 else 1 for s in grid.spacing_mm]  # thick slices: in the plane only
    if max(size) == 1:
        size = [1, 3, 3]
    hu = grid.hu.astype(np.float32)
    mean = ndimage.uniform_filter(hu, size)
    variance = ndimage.uniform_filter(hu * hu, size) - mean * mean
    return np.asarray(np.sqrt(np.maximum(variance, 0.0)), dtype=np.float32)

"""Labels from one grid to another: exactly where the grids share their voxels, else nearest."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import GeometryMismatch
from napari_ctclip.core.geometry import Geometry

__all__ = ["Placement", "labels_on_grid"]

_ALIGNED_VOXELS = 0.05
_LEAST_OVERLAP = 0.01


class Placement:
    """How the voxels of a target grid fall on a source grid.

    Parameters
    ----------
    source, target : Geometry
        From and to.

    Attributes
    ----------
    matrix : ndarray, shape (4, 4)
        Target index -> source index.
    is_aligned : bool
        Whether every target voxel centre is a source voxel centre (or would be, outside it).
    cover : float
        The fraction of the target grid's extent that the source grid covers, by axis-aligned boxes.
    """

    def __init__(self, source: Geometry, target: Geometry) -> None:
        self.source = source
        self.target = target
        self.matrix = np.linalg.inv(source.affine) @ target.affine
        corners = np.array(list(np.ndindex(2, 2, 2))) * (np.asarray(target.shape) - 1)
        at = corners @ self.matrix[:3, :3].T + self.matrix[:3, 3]
        permutes = bool((np.abs(np.rint(self.matrix[:3, :3])).sum(axis=0) == 1).all())
        whole = np.abs(at - np.rint(at)).max() < _ALIGNED_VOXELS
        near = np.abs(self.matrix[:3, :3] - np.rint(self.matrix[:3, :3])).max() < _ALIGNED_VOXELS
        self.is_aligned = bool(permutes and whole and near)
        low = np.clip(at.min(axis=0) - 0.5, -0.5, np.asarray(source.shape) - 0.5)
        high = np.clip(at.max(axis=0) + 0.5, -0.5, np.asarray(source.shape) - 0.5)
        extent = at.max(axis=0) - at.min(axis=0) + 1.0
        self.cover = float(np.prod((high - low) / extent))


def labels_on_grid(
    labels: npt.NDArray[np.integer], placement: Placement, dtype: npt.DTypeLike
) -> npt.NDArray[np.unsignedinteger]:
    """Return labels (D, H, W) on the target grid; 0 where the source does not reach.

    Raises
    ------
    GeometryMismatch
        If the grids hardly overlap.
    """
    source, target = placement.source, placement.target
    if placement.cover < _LEAST_OVERLAP:
        raise GeometryMismatch(
            f"the label map {source.shape} at {_millimetres(source)} and the CT {target.shape} at "
            f"{_millimetres(target)} do not overlap in the patient; give the label map of this scan"
        )
    linear = placement.matrix[:3, :3]
    separable = bool(((np.abs(linear) > 1e-4).sum(axis=0) == 1).all())
    out = np.zeros(target.shape, dtype=dtype)
    if separable:
        _copy_separable(labels, out, placement.matrix)
    else:
        _copy_oblique(labels, out, placement.matrix)
    return out


def _copy_separable(
    labels: npt.NDArray[np.integer],
    out: npt.NDArray[np.unsignedinteger],
    matrix: npt.NDArray[np.float64],
) -> None:
    """Fill ``out`` where each of its axes runs along one axis of ``labels``."""
    axes = [int(np.argmax(np.abs(matrix[:3, axis]))) for axis in range(3)]
    turned = labels.transpose(axes)
    kept, taken = [], []
    for axis, source_axis in enumerate(axes):
        at = np.rint(
            matrix[source_axis, axis] * np.arange(out.shape[axis]) + matrix[source_axis, 3]
        )
        inside = (at >= 0) & (at < labels.shape[source_axis])
        kept.append(np.flatnonzero(inside))
        taken.append(at[inside].astype(np.intp))
    if all(len(k) for k in kept):
        window = tuple(slice(int(k[0]), int(k[-1]) + 1) for k in kept)
        for index, plane in zip(kept[0], taken[0], strict=True):
            out[index][window[1:]] = turned[plane][np.ix_(taken[1], taken[2])]


def _copy_oblique(
    labels: npt.NDArray[np.integer],
    out: npt.NDArray[np.unsignedinteger],
    matrix: npt.NDArray[np.float64],
) -> None:
    """Fill ``out`` plane by plane, each voxel from the nearest source voxel."""
    rows, columns = np.arange(out.shape[1])[:, None], np.arange(out.shape[2])[None, :]
    for plane in range(out.shape[0]):
        at = [
            np.rint(m[0] * plane + m[1] * rows + m[2] * columns + m[3]).astype(np.int32)
            for m in matrix[:3]
        ]
        inside = np.ones(out.shape[1:], dtype=bool)
        for index, length in zip(at, labels.shape, strict=True):
            inside &= (index >= 0) & (index < length)
        out[plane][inside] = labels[tuple(index[inside] for index in at)]


def _millimetres(geometry: Geometry) -> str:
    return " x ".join(f"{s:.2f}" for s in geometry.spacing_mm) + " mm"

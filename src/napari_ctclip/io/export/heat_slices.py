"""Heatmaps slice by slice on another grid: trilinear between tokens."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.similarity_map import SimilarityMap

__all__ = ["heat_slices"]

_SEPARABLE = 1e-6


def heat_slices(
    similarity_map: SimilarityMap, target: Geometry
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield the slices (i, j) of ``target``, one for each k.

    Trilinear between tokens; NaN outside the map's field of view and where the nearest token is
    NaN.
    """
    values, grid = similarity_map.values, similarity_map.geometry
    matrix = np.linalg.inv(grid.affine) @ target.affine
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0).astype(np.float32)
    large = np.abs(matrix[:3, :3]) > _SEPARABLE
    if (large.sum(axis=0) == 1).all() and (large.sum(axis=1) == 1).all():
        yield from _separable(filled, known, matrix, target.shape)
    else:
        yield from _oblique(filled, known, matrix, target.shape)


def _separable(
    filled: npt.NDArray[np.float32],
    known: npt.NDArray[np.bool_],
    matrix: npt.NDArray[np.float64],
    shape: tuple[int, int, int],
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield slices where every target axis runs along one token axis: one axis after the other."""
    axes = [int(np.argmax(np.abs(matrix[:3, axis]))) for axis in range(3)]
    values, share = filled.transpose(axes), known.transpose(axes).astype(np.float32)
    lines = [
        _Line(matrix[source, axis] * np.arange(shape[axis]) + matrix[source, 3], tokens)
        for axis, (source, tokens) in enumerate(zip(axes, values.shape, strict=True))
    ]
    seen = lines[0].inside[:, None] & lines[1].inside[None, :]
    nowhere = np.full(shape[:2], np.nan, dtype=np.float32)
    whole = bool(known.all())
    for k in range(shape[2]):
        if not lines[2].inside[k]:
            yield nowhere
            continue
        plane, shown = _in_plane(values, lines, k), seen
        if not whole:
            certainty = np.maximum(_in_plane(share, lines, k), 1e-6)
            plane = np.asarray(plane / certainty, dtype=np.float32)
            nearest = share[:, :, lines[2].nearest[k]] > 0
            shown = seen & nearest[np.ix_(lines[0].nearest, lines[1].nearest)]
        yield np.where(shown, plane, np.float32(np.nan))


class _Line:
    """Linear interpolation along one axis, held constant past the outer tokens.

    Parameters
    ----------
    at : ndarray, shape (N,)
        Where the target voxels lie, in tokens.
    tokens : int
        How many tokens there are.
    """

    def __init__(self, at: npt.NDArray[np.float64], tokens: int) -> None:
        clipped = np.clip(at, 0, tokens - 1)
        self.inside = (at >= -0.5) & (at < tokens - 0.5)
        self.nearest = np.clip(np.rint(at), 0, tokens - 1).astype(np.intp)
        self.lower = np.clip(np.floor(clipped), 0, max(tokens - 2, 0)).astype(np.intp)
        self.upper = np.minimum(self.lower + 1, tokens - 1)
        self.weight = (clipped - self.lower).astype(np.float32)

    def along_rows(self, plane: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return ``plane`` (tokens, M) at the target voxels, (N, M)."""
        weight = self.weight[:, None]
        return plane[self.lower] * (1 - weight) + plane[self.upper] * weight


def _in_plane(
    values: npt.NDArray[np.float32], lines: list[_Line], k: int
) -> npt.NDArray[np.float32]:
    # Gathers, not matrix products: these are too small for BLAS threads, which then spin.
    rows, columns, stack = lines
    weight = stack.weight[k]
    plane = values[:, :, stack.lower[k]] * (1 - weight) + values[:, :, stack.upper[k]] * weight
    return columns.along_rows(rows.along_rows(plane).T).T


def _oblique(
    filled: npt.NDArray[np.float32],
    known: npt.NDArray[np.bool_],
    matrix: npt.NDArray[np.float64],
    shape: tuple[int, int, int],
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield slices where axes are turned or sheared against the tokens."""
    share = known.astype(np.float32)
    rows, columns = np.arange(shape[0])[:, None], np.arange(shape[1])[None, :]
    for k in range(shape[2]):
        at = np.stack([m[0] * rows + m[1] * columns + m[2] * k + m[3] for m in matrix[:3]])
        inside = np.ones(shape[:2], dtype=bool)
        for part, length in zip(at, filled.shape, strict=True):
            inside &= (part >= -0.5) & (part < length - 0.5)
        value = ndimage.map_coordinates(filled, at, order=1, mode="nearest")
        weight = ndimage.map_coordinates(share, at, order=1, mode="nearest")
        nearest = ndimage.map_coordinates(share, at, order=0, mode="nearest") > 0
        shown = inside & nearest & (weight > 0)
        out = np.full(shape[:2], np.nan, dtype=np.float32)
        out[shown] = value[shown] / weight[shown]
        yield out

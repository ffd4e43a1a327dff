"""Mirror: the body's midline, and the point on its other side."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.optimize import minimize

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.organ_masks import OrganMasks

__all__ = ["MidlinePlane", "counterpart", "midline_plane"]

_SIDES = ("lung_right", "lung_left")
_LEAST_ROWS = 50
_LEAST_SYMMETRY = 0.6
"""Ours: share of one lung that must fall on the other; a healthy pair reaches 0.8, the heart takes
the rest. Below it a lung is collapsed, gone or cut, and its edge says nothing of the midline."""

_GRID_MM = 4.0
_FARTHEST_MM = (30.0, 10.0)  # Ours: first wide, to find the other lung; then only its chest wall
_AT_MOST = 4000  # points compared; the fit has three numbers

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class MidlinePlane:
    """The plane that parts right from left.

    Attributes
    ----------
    normal : tuple of float
        Unit vector (RAS) across the plane.
    offset_mm : float
        ``normal . point`` of every point on it.
    symmetry : float
        Share of each lung whose mirrored point lies in the other lung.
    """

    normal: tuple[float, float, float]
    offset_mm: float
    symmetry: float

    def mirrored(self, world_mm: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the RAS points (..., 3) on the other side."""
        points, normal = np.asarray(world_mm, dtype=np.float64), np.asarray(self.normal)
        away = points @ normal - self.offset_mm
        return np.asarray(points - 2 * away[..., None] * normal)


def midline_plane(masks: OrganMasks | None) -> MidlinePlane:
    """Return the midline plane by the symmetry of the lungs.

    The plane is the one that lays the mirrored surface of each lung nearest to the other lung's,
    started from the middle of the outer edges. Distances end at 10 mm, so that the chest wall
    decides and not the heart, which only one lung makes room for.

    Raises
    ------
    DataError
        If there are no two lungs, or they are too unlike; says which.

    Notes
    -----
    Ours: surfaces instead of an image registration, which a mass on one side pulls along.
    """
    if masks is None:
        raise DataError("there are no organ masks, so the midline is unknown")
    missing = [n for n in _SIDES if not masks.labels_of(n) or not masks.mask(n).any()]
    if missing:
        raise DataError("the organ masks lack one lung or both, so the midline is unknown")
    right, left = (masks.mask(name) for name in _SIDES)
    rows = np.asarray(right.any(axis=2) & left.any(axis=2))
    if rows.sum() < _LEAST_ROWS:
        raise DataError("the lungs lie side by side in too few rows to find the midline")
    plane = _fitted(masks, right, left, start=_middle_of_edges(right, left, rows))
    symmetry = (_falls_on(plane, masks, right, left) + _falls_on(plane, masks, left, right)) / 2
    if symmetry < _LEAST_SYMMETRY:
        raise DataError(
            f"the two lungs are too unlike to find the midline ({symmetry:.0%} of each falls on "
            f"the other; at least {_LEAST_SYMMETRY:.0%} is needed)"
        )
    return replace(plane, symmetry=symmetry)


def counterpart(organ: str) -> str:
    """Return what an organ is called on the other side; itself if it has no sides."""
    for here, there in (("right", "left"), ("left", "right")):
        if organ.endswith(f"_{here}"):
            return f"{organ.removesuffix(here)}{there}"
        if f"_{here}_" in organ:
            return organ.replace(f"_{here}_", f"_{there}_")
    return organ


def _middle_of_edges(right: Mask, left: Mask, rows: Mask) -> float:
    """Return the usual middle (x index) between the outer edges of the lungs."""
    outer_right = right.argmax(axis=2)[rows]  # x points to the left
    outer_left = left.shape[2] - 1 - left[:, :, ::-1].argmax(axis=2)[rows]
    return float(np.median((outer_right + outer_left) / 2))


def _fitted(masks: OrganMasks, right: Mask, left: Mask, *, start: float) -> MidlinePlane:
    """Return the plane by which the surfaces of the lungs fall on each other, symmetry unset."""
    spacing = np.asarray(masks.geometry.spacing_mm)
    step = np.maximum(np.rint(_GRID_MM / spacing), 1).astype(int)
    coarse = tuple(slice(None, None, int(n)) for n in step)
    pitch = spacing * step
    surfaces = [lung[coarse] & ~ndimage.binary_erosion(lung[coarse]) for lung in (right, left)]
    away = [ndimage.distance_transform_edt(~surface, sampling=pitch) for surface in surfaces]
    points = [_thinned(np.argwhere(surface)) * pitch for surface in surfaces]
    middle = np.concatenate(points).mean(axis=0)

    def misfit(numbers: npt.NDArray[np.float64], farthest: float) -> float:
        normal, offset = _plane_of(numbers, middle)
        total = 0.0
        for own, other in zip(points, reversed(away), strict=True):
            there = own - 2 * (own @ normal - offset)[:, None] * normal
            found = ndimage.map_coordinates(other, (there / pitch).T, order=1, mode="nearest")
            total += float(np.minimum(found, farthest).mean())
        return total

    numbers = np.array([0.0, 0.0, start * spacing[2] - middle[2]])
    simplex = np.vstack([numbers, numbers + np.diag([0.15, 0.15, 10.0])])
    for farthest in _FARTHEST_MM:
        found = minimize(
            misfit,
            numbers,
            args=(farthest,),
            method="Nelder-Mead",
            options={"initial_simplex": simplex + (numbers - simplex[0]), "xatol": 1e-3},
        )
        numbers = found.x
    normal, offset = _plane_of(numbers, middle)
    axes = masks.geometry.affine[:3, :3] / spacing  # unit vectors of the array axes, RAS
    across = axes @ normal
    on_plane = masks.geometry.index_to_world(normal * offset / spacing)
    return MidlinePlane(
        (float(across[0]), float(across[1]), float(across[2])), float(across @ on_plane), 0.0
    )


def _plane_of(
    numbers: npt.NDArray[np.float64], middle: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], float]:
    """Return normal and offset (mm, array axes) from two slopes and a shift along x."""
    normal = np.array([-numbers[0], -numbers[1], 1.0])
    normal /= np.linalg.norm(normal)
    return normal, float(normal @ (middle + np.array([0.0, 0.0, numbers[2]])))


def _thinned(points: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    return points[:: -(-len(points) // _AT_MOST)]


def _falls_on(
    plane: MidlinePlane,
    masks: OrganMasks,
    one: Mask,
    other: Mask,
) -> float:
    points = _thinned(np.argwhere(one[::2, ::4, ::4]) * (2, 4, 4))
    world = plane.mirrored(masks.geometry.index_to_world(points))
    index = np.rint(masks.geometry.world_to_index(world)).astype(int)
    inside = masks.geometry.contains_index(index)
    z, y, x = index[inside].T
    return float(other[z, y, x].sum() / max(1, len(points)))

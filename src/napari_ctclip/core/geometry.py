"""Geometry: where a voxel grid lies in the patient, without the voxels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import GeometryMismatch

__all__ = ["INTERNAL_AXES", "AxisTransform", "Geometry"]

INTERNAL_AXES = "IPL"
"""Axis code of every array inside the package: (z, y, x) point Inferior, Posterior, Left.

With napari's default camera this is radiologically right in all three planes, and not mirrored
in 3D.
"""

_CODES = (("L", "R"), ("P", "A"), ("I", "S"))  # negative, positive direction of RAS x, y, z
_TOLERANCE_MM = 1e-3

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class AxisTransform:
    """A permutation of axes followed by flips: how one stored order becomes another, losslessly.

    Attributes
    ----------
    permutation : tuple of int
        Output axis i is input axis ``permutation[i]``.
    flips : tuple of bool
        Whether output axis i runs against its input axis.
    """

    permutation: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    def apply(self, array: npt.NDArray[T]) -> npt.NDArray[T]:
        """Return ``array`` (3D) in the new order, as a view."""
        view = array.transpose(self.permutation)
        return view[tuple(slice(None, None, -1) if flip else slice(None) for flip in self.flips)]

    def inverse(self) -> AxisTransform:
        """Return the transform that undoes this one."""
        back = tuple(self.permutation.index(axis) for axis in range(3))
        return AxisTransform(
            (back[0], back[1], back[2]),
            (self.flips[back[0]], self.flips[back[1]], self.flips[back[2]]),
        )


@dataclass(frozen=True, eq=False)
class Geometry:
    """A voxel grid in the patient.

    Attributes
    ----------
    shape : tuple of int
        Voxels along each array axis.
    affine : ndarray, shape (4, 4), float64
        Array index -> millimetres in the RAS world (x to the patient's Right is *negative* left:
        +x Right, +y Anterior, +z Superior), voxel centres at whole numbers, as NIfTI defines it.

    Raises
    ------
    GeometryMismatch
        If the affine is singular or not finite, or a shape is not positive.
    """

    shape: tuple[int, int, int]
    affine: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise GeometryMismatch(f"expected a finite 4 x 4 affine, got {affine.shape}: {affine}")
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise GeometryMismatch(f"expected three positive axis lengths, got {self.shape}")
        if abs(float(np.linalg.det(affine[:3, :3]))) < 1e-9:
            raise GeometryMismatch("the affine is singular: some axis has no length in millimetres")
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))

    # --- construction ---------------------------------------------------------------------------

    @classmethod
    def from_spacing(
        cls,
        shape: Sequence[int],
        spacing_mm: Sequence[float],
        *,
        origin_ras: Sequence[float] = (0.0, 0.0, 0.0),
        codes: str = INTERNAL_AXES,
    ) -> Geometry:
        """Return an axis-aligned grid with the given axis code, e.g. ``"IPL"``."""
        affine = np.eye(4)
        affine[:3, :3] = 0.0
        for axis, (code, spacing) in enumerate(zip(codes, spacing_mm, strict=True)):
            world, sign = _world_axis(code)
            affine[world, axis] = sign * float(spacing)
        affine[:3, 3] = origin_ras
        return cls((int(shape[0]), int(shape[1]), int(shape[2])), affine)

    # --- properties -----------------------------------------------------------------------------

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxel centres along each array axis, mm."""
        z, y, x = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0)).tolist()
        return z, y, x

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0

    @property
    def axis_codes(self) -> str:
        """Direction each array axis points to, nearest anatomical one, e.g. ``"IPL"``."""
        direction = self.affine[:3, :3] / np.asarray(self.spacing_mm)
        world = _closest_axes(direction)
        return "".join(_CODES[w][int(direction[w, axis] > 0)] for axis, w in enumerate(world))

    @property
    def obliquity_degrees(self) -> float:
        """Largest angle between an array axis and the anatomical axis it is named after."""
        direction = self.affine[:3, :3] / np.asarray(self.spacing_mm)
        world = _closest_axes(direction)
        cosines = [abs(direction[w, axis]) for axis, w in enumerate(world)]
        return float(np.degrees(np.arccos(np.clip(min(cosines), 0.0, 1.0))))

    # --- points ---------------------------------------------------------------------------------

    def index_to_world(self, index: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return RAS millimetres (..., 3) of array indices (..., 3)."""
        points = np.asarray(index, dtype=np.float64)
        return points @ self.affine[:3, :3].T + self.affine[:3, 3]

    def world_to_index(self, world_mm: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return array indices (..., 3), not rounded, of RAS millimetres (..., 3)."""
        points = np.asarray(world_mm, dtype=np.float64) - self.affine[:3, 3]
        return points @ np.linalg.inv(self.affine[:3, :3]).T

    def contains_index(self, index: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Return whether indices (..., 3) fall inside some voxel of the grid."""
        points = np.asarray(index, dtype=np.float64)
        inside = (points >= -0.5) & (points < np.asarray(self.shape) - 0.5)
        return np.asarray(inside.all(axis=-1))

    # --- new grids ------------------------------------------------------------------------------

    def transform_to(self, codes: str) -> AxisTransform:
        """Return the permutation and flips that bring this grid's axes to ``codes``."""
        own = self.axis_codes
        permutation, flips = [], []
        for code in codes:
            world, _ = _world_axis(code)
            source = next(i for i, c in enumerate(own) if c in _CODES[world])
            permutation.append(source)
            flips.append(own[source] != code)
        return AxisTransform(
            (permutation[0], permutation[1], permutation[2]), (flips[0], flips[1], flips[2])
        )

    def reoriented(self, transform: AxisTransform) -> Geometry:
        """Return the grid after ``transform``; every voxel keeps its place in the patient."""
        index = np.zeros((4, 4))
        index[3, 3] = 1.0
        for out, (source, flip) in enumerate(
            zip(transform.permutation, transform.flips, strict=True)
        ):
            index[source, out] = -1.0 if flip else 1.0
            index[source, 3] = self.shape[source] - 1 if flip else 0.0
        p = transform.permutation
        shape = (self.shape[p[0]], self.shape[p[1]], self.shape[p[2]])
        return Geometry(shape, self.affine @ index)

    def cropped(self, start: Sequence[int], stop: Sequence[int]) -> Geometry:
        """Return the sub-grid [start, stop); negative starts and stops beyond the end pad it."""
        shape = tuple(int(b) - int(a) for a, b in zip(start, stop, strict=True))
        affine = self.affine.copy()
        affine[:3, 3] = self.index_to_world(np.asarray(start))
        return Geometry((shape[0], shape[1], shape[2]), affine)

    def padded(self, before: Sequence[int], after: Sequence[int]) -> Geometry:
        """Return the grid grown by whole voxels on each side."""
        stop = [n + int(a) for n, a in zip(self.shape, after, strict=True)]
        return self.cropped([-int(b) for b in before], stop)

    def resampled(self, spacing_mm: Sequence[float]) -> Geometry:
        """Return a grid of the given spacing over the same field of view (outer faces coincide).

        The spacing is kept exactly; the last voxel of an axis may reach past the old face.
        """
        old = np.asarray(self.spacing_mm)
        new = np.asarray(spacing_mm, dtype=np.float64)
        extent = old * np.asarray(self.shape)
        shape = np.maximum(1, np.ceil(extent / new - 1e-4)).astype(int)
        affine = self.affine.copy()
        affine[:3, :3] = self.affine[:3, :3] / old * new
        affine[:3, 3] = self.index_to_world((new / old - 1.0) / 2.0)
        return Geometry((int(shape[0]), int(shape[1]), int(shape[2])), affine)

    def resampled_within(self, spacing_mm: Sequence[float]) -> Geometry:
        """Return the largest grid of the given spacing inside the field of view, same centre.

        An axis of one voxel keeps one.
        """
        old = np.asarray(self.spacing_mm)
        new = np.asarray(spacing_mm, dtype=np.float64)
        size = np.asarray(self.shape)
        shape = np.where(size == 1, 1, np.maximum(1, np.floor(old * size / new + 1e-6))).astype(int)
        affine = self.affine.copy()
        affine[:3, :3] = self.affine[:3, :3] / old * new
        affine[:3, 3] = self.index_to_world((size - 1) / 2 - (shape - 1) / 2 * new / old)
        return Geometry((int(shape[0]), int(shape[1]), int(shape[2])), affine)

    def coarsened(self, factor: Sequence[int]) -> Geometry:
        """Return the grid whose voxels are blocks of ``factor`` voxels of this one.

        A last, incomplete block counts as a whole one.
        """
        f = np.asarray(factor, dtype=np.float64)
        shape = np.ceil(np.asarray(self.shape) / f).astype(int)
        affine = self.affine.copy()
        affine[:3, :3] = self.affine[:3, :3] * f
        affine[:3, 3] = self.index_to_world((f - 1.0) / 2.0)
        return Geometry((int(shape[0]), int(shape[1]), int(shape[2])), affine)

    def deobliqued(self) -> Geometry:
        """Return the axis-aligned grid of the same shape and spacing about the same centre.

        Only for showing: positions in the patient turn with the axes.
        """
        centre = (np.asarray(self.shape) - 1) / 2.0
        aligned = Geometry.from_spacing(self.shape, self.spacing_mm, codes=self.axis_codes)
        affine = aligned.affine.copy()
        affine[:3, 3] = self.index_to_world(centre) - aligned.affine[:3, :3] @ centre
        return Geometry(self.shape, affine)

    # --- comparison -----------------------------------------------------------------------------

    def coincides_with(self, other: Geometry) -> bool:
        """Return whether both grids have the same shape and the same place to a micrometre."""
        return self.shape == other.shape and bool(
            np.allclose(self.affine, other.affine, atol=_TOLERANCE_MM)
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Geometry):
            return NotImplemented
        return self.shape == other.shape and bool(np.array_equal(self.affine, other.affine))

    def __hash__(self) -> int:
        return hash((self.shape, self.affine.tobytes()))


def _world_axis(code: str) -> tuple[int, int]:
    """Return (RAS axis, sign) that an axis letter points along."""
    for world, (negative, positive) in enumerate(_CODES):
        if code == positive:
            return world, 1
        if code == negative:
            return world, -1
    raise GeometryMismatch(f"unknown axis letter {code!r}; expected letters of RAS/LPI, e.g. 'IPL'")


def _closest_axes(direction: npt.NDArray[np.float64]) -> tuple[int, int, int]:
    """Return the RAS axis nearest to each column of ``direction`` (3, 3), each used once."""
    remaining = np.abs(direction)
    chosen = [0, 0, 0]
    for _ in range(3):
        world, axis = np.unravel_index(int(np.argmax(remaining)), (3, 3))
        chosen[int(axis)] = int(world)
        remaining[world, :] = -1.0
        remaining[:, axis] = -1.0
    return chosen[0], chosen[1], chosen[2]

"""Patches: where a model of pictures looks: squares of axial slices that an organ fills."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.geometry import INTERNAL_AXES, Geometry
from napari_ctclip.core.montage import Patch
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.preprocessing.spatial import resample_labels

__all__ = ["PatchGrid", "PatchPlan", "lay_patches"]

_OF_FULLEST = 0.6


@dataclass(frozen=True)
class PatchPlan:
    """Which patches are looked at.

    Attributes
    ----------
    size_mm : float
        Side of a patch. Ours: 64 mm, about a lung segment.
    stride_mm : float
        From one to the next along a slice; half the side where it is 0.
    organ : str
        An anatomy or group of the organ masks; empty means the whole scan.
    least_share : float
        Part of a patch that the organ must fill. Ours: 0.6. Of an organ too small for that, the
        patches that hold most: at least 0.6 of the fullest.

    Raises
    ------
    DataError
        If a number cannot be used.
    """

    size_mm: float = 64.0
    stride_mm: float = 0.0
    organ: str = "lung"
    least_share: float = 0.6

    def __post_init__(self) -> None:
        if not (0 < self.size_mm <= 500 and 0 <= self.stride_mm <= 500):
            raise DataError(
                f"patches of {self.size_mm:g} mm every {self.stride_mm:g} mm cannot be laid; "
                "expected a side of 1 to 500 mm, and a stride of at most 500 mm (0: half the side)"
            )
        if not 0 <= self.least_share <= 1:
            raise DataError(f"an organ cannot fill a share of {self.least_share:g}; expected 0..1")


@dataclass(frozen=True, eq=False)
class PatchGrid:
    """Patches of a scan before they are scored.

    Attributes
    ----------
    centres : ndarray, shape (N, 3), intp
        Voxels (z, y, x) of the prepared image; a patch begins half its pixels before its centre.
    shares : ndarray, shape (N,), float32
        Part of each that the organ fills.
    geometry : Geometry
        The grid of the prepared image.
    plan : PatchPlan
        What was requested.
    """

    centres: npt.NDArray[np.intp]
    shares: npt.NDArray[np.float32]
    geometry: Geometry
    plan: PatchPlan

    def __len__(self) -> int:
        return len(self.centres)

    def centres_mm(self) -> npt.NDArray[np.float64]:
        """Return the middles (N, 3) in the file's RAS world."""
        n = _pixels(self.plan.size_mm, self.geometry)
        exact = self.centres + np.array([0.0, 1.0, 1.0]) * ((n - 1) / 2 - n // 2)
        return self.geometry.index_to_world(exact)

    def patch(self, number: int, *, score: float = float("nan")) -> Patch:
        """Return one of them."""
        right, anterior, superior = self.centres_mm()[number].tolist()
        return Patch(
            (right, anterior, superior),
            self.plan.size_mm,
            self.geometry.spacing_mm[0],
            float(self.shares[number]),
            score,
        )

    def hash(self) -> str:
        """Return a hash (hex) of size and positions: masks that give the same patches share it."""
        digest = hashlib.sha256(repr((self.plan.size_mm, self.geometry.shape)).encode())
        digest.update(np.ascontiguousarray(self.centres, dtype="<i8").data)
        return digest.hexdigest()


def lay_patches(
    geometry: Geometry,
    masks: OrganMasks | None,
    plan: PatchPlan,
    *,
    inside: npt.NDArray[np.bool_] | None = None,
) -> PatchGrid:
    """Return the patches that slide over every slice of a prepared image and hold the organ.

    Parameters
    ----------
    geometry : Geometry
        Grid of the prepared image (D, H, W).
    masks : OrganMasks or None
        On the scan's own grid; needed unless the whole scan is looked at.
    plan : PatchPlan
        Size, stride, organ.
    inside : ndarray, shape (D, H, W), bool, optional
        The scan's field of view in the prepared image.

    Raises
    ------
    DataError
        If the slices of the image are not axial, the organ is not in the masks, or no patch fits.
    """
    if geometry.axis_codes != INTERNAL_AXES:
        raise DataError(
            f"patches are cut from axial slices, and this model looks at {geometry.axis_codes}; "
            "choose it without @coronal or @sagittal"
        )
    n = _pixels(plan.size_mm, geometry)
    stride = _pixels(plan.stride_mm or plan.size_mm / 2, geometry)
    organ = _organ_on(geometry, masks, plan.organ)
    if inside is not None:
        organ &= inside
    depth, height, width = geometry.shape
    if n > min(height, width):
        raise DataError(
            f"a patch of {plan.size_mm:g} mm does not fit into a slice of "
            f"{height * geometry.spacing_mm[1]:.0f} x {width * geometry.spacing_mm[2]:.0f} mm"
        )
    rows = np.arange(0, height - n + 1, stride)
    columns = np.arange(0, width - n + 1, stride)
    shares = np.stack([_shares(organ[z], n, rows, columns) for z in range(depth)])
    fullest = float(shares.max(initial=0.0))
    if fullest == 0:
        raise DataError(
            f"no patch of {plan.size_mm:g} mm holds any of the {plan.organ or 'scan'}; "
            "choose another organ or other masks"
        )
    enough = plan.least_share if fullest >= plan.least_share else _OF_FULLEST * fullest
    kept = np.argwhere((shares >= enough) & (shares > 0))
    centres = np.stack(
        [kept[:, 0], rows[kept[:, 1]] + n // 2, columns[kept[:, 2]] + n // 2], axis=1
    )
    return PatchGrid(centres.astype(np.intp), shares[tuple(kept.T)], geometry, plan)


def _pixels(length_mm: float, geometry: Geometry) -> int:
    return max(1, round(length_mm / geometry.spacing_mm[1]))


def _organ_on(geometry: Geometry, masks: OrganMasks | None, organ: str) -> npt.NDArray[np.bool_]:
    """Return where (D, H, W) of the prepared image the organ is; everywhere for ""."""
    if not organ:
        return np.ones(geometry.shape, dtype=bool)
    if masks is None:
        raise DataError(
            f"patches of the {organ} need organ masks; give a label map or quick masks, or look "
            "at the whole scan"
        )
    numbers = masks.labels_of(organ)
    if not numbers:
        raise DataError(f"no {organ!r} in these organ masks; they have: {', '.join(masks)}")
    member = np.zeros(int(masks.labels.max()) + 1, dtype=bool)
    member[[number for number in numbers if number < len(member)]] = True
    return np.asarray(member[resample_labels(masks.labels, masks.geometry, geometry)])


def _shares(
    organ: npt.NDArray[np.bool_],
    n: int,
    rows: npt.NDArray[np.intp],
    columns: npt.NDArray[np.intp],
) -> npt.NDArray[np.float32]:
    """Return how much of each square of n pixels an organ fills, from sums over corners."""
    summed = np.zeros((organ.shape[0] + 1, organ.shape[1] + 1), dtype=np.int64)
    np.cumsum(np.cumsum(organ, axis=0), axis=1, out=summed[1:, 1:])
    ends = np.ix_(rows + n, columns + n), np.ix_(rows, columns + n)
    starts = np.ix_(rows + n, columns), np.ix_(rows, columns)
    count = summed[ends[0]] - summed[ends[1]] - summed[starts[0]] + summed[starts[1]]
    return np.asarray(count / n**2, dtype=np.float32)

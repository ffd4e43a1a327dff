"""Place: what was drawn, clicked or chosen to be asked: a ball, a box, an organ or a finding."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.region import Region
from napari_ctclip.core.study import Study
from napari_ctclip.regions.drawn_region import box_about, organ_region, sphere_region

__all__ = ["Place", "RoiKind", "box_roi", "dragged_box", "sphere_roi"]

Triple = tuple[float, float, float]


class RoiKind(StrEnum):
    """What a place is."""

    BALL = "ball"
    BOX = "box"
    ORGAN = "organ"
    FINDING = "finding"


@dataclass(frozen=True, eq=False)
class Place:
    """A place of a scan, as it was given.

    Attributes
    ----------
    kind : RoiKind
        What it is.
    centre : tuple of float
        Its middle (z, y, x) in voxels; of a ball or a box.
    radius_mm : float
        Of a ball.
    sides_mm : tuple of float
        Of a box (z, y, x).
    name : str
        Of an organ in the masks, or of a finding.
    region : Region or None
        Of a finding: what is kept of it.
    """

    kind: RoiKind
    centre: Triple = (0.0, 0.0, 0.0)
    radius_mm: float = 0.0
    sides_mm: Triple = (0.0, 0.0, 0.0)
    name: str = ""
    region: Region | None = None

    def region_in(self, study: Study) -> Region:
        """Return its voxels; that of an organ is slow.

        Raises
        ------
        DataError
            If it lies outside the scan, or the masks lack the organ.
        """
        geometry = study.volume.geometry
        if self.kind is RoiKind.BALL:
            return sphere_region(geometry, self.centre, radius_mm=self.radius_mm)
        if self.kind is RoiKind.BOX:
            return box_about(geometry, self.centre, self.sides_mm)
        if self.region is not None:
            return self.region
        return organ_region(study.organ_masks, self.name)

    def words(self) -> str:
        """Return what it is, e.g. ``"Ball of 10 mm radius about slice 60, ..."``."""
        z, y, x = (round(index) for index in self.centre)
        about = f"about slice {z}, row {y}, column {x}"
        if self.kind is RoiKind.BALL:
            return f"Ball of {self.radius_mm:.3g} mm radius {about}"
        if self.kind is RoiKind.BOX:
            up, front, right = self.sides_mm
            return f"Box of {right:.3g} x {front:.3g} x {up:.3g} mm {about}"
        if self.kind is RoiKind.FINDING:
            return f"Finding “{self.name}”"
        return f"Organ: {anatomy_label(self.name)}"

    def facts(self, geometry: Geometry) -> dict[str, Any]:
        """Return how it was given, as the command line notes it."""
        if self.kind is RoiKind.ORGAN:
            return {"organ": self.name}
        if self.kind is RoiKind.FINDING:
            return {"finding": self.name}
        at = {"at_ras_mm": geometry.index_to_world(self.centre).tolist()}
        if self.kind is RoiKind.BALL:
            return {**at, "radius_mm": self.radius_mm}
        return {**at, "size_rl_ap_si_mm": self.sides_mm[::-1]}


def sphere_roi(centre: Triple, radius_mm: float) -> Place:
    """Return a ball about a voxel."""
    return Place(RoiKind.BALL, centre, radius_mm=radius_mm)


def box_roi(centre: Triple, sides_mm: Triple) -> Place:
    """Return a box about a voxel."""
    return Place(RoiKind.BOX, centre, sides_mm=sides_mm)


def dragged_box(
    geometry: Geometry, corner: Triple, opposite: Triple, *, across: int, depth_mm: float
) -> Place:
    """Return the box between two voxels of one plane, both included.

    Parameters
    ----------
    geometry : Geometry
        Of the scan.
    corner, opposite : tuple of float
        Voxels (z, y, x).
    across : int
        The axis (0, 1, 2) that leaves the plane.
    depth_mm : float
        How far the box reaches along it, half on each side.
    """
    ends = np.asarray([corner, opposite], dtype=np.float64)
    sides = (np.abs(ends[1] - ends[0]) + 1) * geometry.spacing_mm
    sides[across] = depth_mm
    z, y, x = ends.mean(axis=0).tolist()
    up, front, right = sides.tolist()
    return box_roi((z, y, x), (up, front, right))

"""Roi: a region of interest as it was given: a point, a sphere, a box, an organ or a finding."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.region import Region

__all__ = ["Roi", "RoiKind"]

Triple = tuple[float, float, float]

_DECIMALS_MM = 6  # a voxel and back is not exact


class RoiKind(StrEnum):
    """What a region of interest is."""

    POINT = "point"
    SPHERE = "sphere"
    BOX = "box"
    ORGAN = "organ"
    FINDING = "finding"


@dataclass(frozen=True, eq=False)
class Roi:
    """A region of interest of a scan: the description, not its voxels.

    ``regions.drawn_region.roi_region`` returns the voxels.

    Attributes
    ----------
    kind : RoiKind
        What it is.
    centre : tuple of float
        Its centre (z, y, x) in voxels, of a point, a sphere or a box.
    radius_mm : float
        The radius of a sphere.
    sides_mm : tuple of float
        The sides (z, y, x) of a box.
    name : str
        The name of an organ in the masks, or of a finding.
    region : Region or None
        The voxels of a finding.
    """

    kind: RoiKind
    centre: Triple = (0.0, 0.0, 0.0)
    radius_mm: float = 0.0
    sides_mm: Triple = (0.0, 0.0, 0.0)
    name: str = ""
    region: Region | None = None

    @classmethod
    def point(cls, centre: Triple) -> Roi:
        """Return a single voxel (z, y, x)."""
        return cls(RoiKind.POINT, centre)

    @classmethod
    def sphere(cls, centre: Triple, radius_mm: float) -> Roi:
        """Return a sphere about a voxel (z, y, x)."""
        return cls(RoiKind.SPHERE, centre, radius_mm=radius_mm)

    @classmethod
    def box(cls, centre: Triple, sides_mm: Triple) -> Roi:
        """Return a box with sides (z, y, x) in mm about a voxel (z, y, x)."""
        return cls(RoiKind.BOX, centre, sides_mm=sides_mm)

    @classmethod
    def box_between(
        cls, geometry: Geometry, corner: Triple, opposite: Triple, *, across: int, depth_mm: float
    ) -> Roi:
        """Return the box between two voxels of one plane, both included.

        Parameters
        ----------
        geometry : Geometry
            The grid of the scan.
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
        return cls.box((z, y, x), (up, front, right))

    @classmethod
    def organ(cls, name: str) -> Roi:
        """Return an organ of the masks, or a group of organs such as ``"lung"``."""
        return cls(RoiKind.ORGAN, name=name)

    @classmethod
    def finding(cls, name: str, region: Region) -> Roi:
        """Return the region of a finding."""
        return cls(RoiKind.FINDING, name=name, region=region)

    def describe(self) -> str:
        """Return what it is, e.g. ``"Sphere of 10 mm radius about slice 60, ..."``."""
        z, y, x = (round(index) for index in self.centre)
        where = f"slice {z}, row {y}, column {x}"
        match self.kind:
            case RoiKind.POINT:
                return f"Point at {where}"
            case RoiKind.SPHERE:
                return f"Sphere of {self.radius_mm:.3g} mm radius about {where}"
            case RoiKind.BOX:
                up, front, right = self.sides_mm
                return f"Box of {right:.3g} x {front:.3g} x {up:.3g} mm about {where}"
            case RoiKind.FINDING:
                return f"Finding “{self.name}”"
            case RoiKind.ORGAN:
                return f"Organ: {anatomy_label(self.name)}"

    def facts(self, geometry: Geometry) -> dict[str, Any]:
        """Return how it was given, for the record that stands beside the results."""
        if self.kind in (RoiKind.ORGAN, RoiKind.FINDING):
            return {self.kind.value: self.name}
        world = geometry.index_to_world(self.centre).tolist()
        facts: dict[str, Any] = {"at_ras_mm": [round(mm, _DECIMALS_MM) for mm in world]}
        if self.kind is RoiKind.SPHERE:
            facts["radius_mm"] = self.radius_mm
        if self.kind is RoiKind.BOX:
            facts["size_rl_ap_si_mm"] = self.sides_mm[::-1]
        return facts

"""StudyRecord: what the store knows about a study without touching its voxels."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_ctclip.core.geometry import Geometry

__all__ = ["HISTOGRAM_EDGES_HU", "OrganRecord", "StoreSpecification", "StoredNotice", "StudyRecord"]

HISTOGRAM_EDGES_HU: tuple[int, ...] = tuple(range(-1100, 1600, 50))
"""Edges of the bins of ``StudyRecord.histogram``; the first and last bin hold what lies beyond."""

Index = tuple[int, int, int]
Row = tuple[float, float, float, float]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StoreSpecification(_Record):
    """What was done to every study of a store; its hash stands in every study.

    Attributes
    ----------
    kind : {"ct", "radiograph"}
        int16 HU (D, H, W), or int16 grey values 0..4095 (1, H, W).
    orientation : str
        Axis code, e.g. ``"IPL"``.
    spacing_mm : tuple of float
        Of the stored grid (z, y, x). Radiographs: pixels, 1 each, after resizing.
    anatomies : tuple of str
        Label n + 1 in the stored masks is ``anatomies[n]``.
    parts : dict
        Anatomy -> the names (patterns) of label maps it joins.
    masks : str
        How masks were chosen: auto, file, totalsegmentator, quick or none.
    shorter_side : int
        Radiographs: pixels along the shorter side.
    version : int
        Of the preparation; raised when the same input would give other bytes.
    """

    kind: Literal["ct", "radiograph"] = "ct"
    orientation: str = "IPL"
    spacing_mm: tuple[float, float, float] = (2.0, 2.0, 2.0)
    anatomies: tuple[str, ...] = ()
    parts: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    masks: str = "auto"
    shorter_side: int = 0
    version: int = 1


class OrganRecord(_Record):
    """One anatomy of a study.

    Attributes
    ----------
    voxels : int
        On the stored grid.
    start, stop : tuple of int
        Its box on the stored grid, stop excluded.
    is_cut : bool
        Whether it touches a face of the scan's field of view, so part of it may lie outside.
    """

    voxels: int
    start: Index
    stop: Index
    is_cut: bool


class StoredNotice(_Record):
    """A reader's remark about the study."""

    severity: str
    code: str
    message: str


class StudyRecord(_Record):
    """A stored study without its voxels.

    Attributes
    ----------
    study_id : str
        As in the manifest.
    specification : str
        Hash of the store's specification.
    fingerprint : str
        Hash of the names and sizes of the input files and of how they were to be read.
    shape : tuple of int
        (D, H, W) of the stored grid.
    affine : 4 x 4
        Stored index (z, y, x) to RAS mm.
    source_spacing_mm : tuple of float
        Of the scan as read (z, y, x).
    mask_source : str
        ``"file"``, ``"TotalSegmentator"``, ``"quick"`` or ``"none"``.
    organs : dict of str to OrganRecord
        The anatomies that have voxels.
    histogram : tuple of int
        Voxels between ``HISTOGRAM_EDGES_HU``.
    notices : tuple of StoredNotice
        What was odd about the files.
    """

    study_id: str
    specification: str
    fingerprint: str
    shape: Index
    affine: tuple[Row, Row, Row, Row]
    source_spacing_mm: tuple[float, float, float]
    mask_source: str = "none"
    organs: dict[str, OrganRecord] = Field(default_factory=dict)
    histogram: tuple[int, ...] = ()
    notices: tuple[StoredNotice, ...] = ()

    @property
    def geometry(self) -> Geometry:
        """The stored grid in the patient."""
        return Geometry(self.shape, self.affine)  # type: ignore[arg-type]

"""The text of a session file: its schema, versioned."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "SCHEMA",
    "CameraEntry",
    "FindingEntry",
    "MasksEntry",
    "ModelEntry",
    "PromptEntry",
    "ReportEntry",
    "ScanEntry",
    "SessionDocument",
    "TemplatesEntry",
    "ViewEntry",
]

SCHEMA = 2
"""Version of what is written. A file of a higher one is refused: it may hold what we would lose.

1: without layout, cameras, report and templates (its prompts were asked as typed).
"""

Voxel = tuple[int, int, int]
Point = tuple[float, float, float]
Affine = Annotated[list[list[float]], Field(min_length=4, max_length=4)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ScanEntry(_Entry):
    """Which scan it is: where it lay, and the hash of its voxels and grid."""

    path: str
    series: str | None = None
    content_sha256: str
    shape: Voxel
    affine_ras: Affine
    voxels: str = ""
    """Name of the array inside the file, for a scan that came from no file."""


class ModelEntry(_Entry):
    """Which model answered: how it was loaded, and the hash of its weights."""

    source: str
    name: str
    weights_sha256: str


class TemplatesEntry(_Entry):
    """What a prompt was put in, whole: a person's own templates may be on no other machine."""

    name: str
    positive: tuple[str, ...]
    negative: tuple[str, ...] = ()


class PromptEntry(_Entry):
    """One row of the prompt table."""

    positive: str
    negative: str
    anatomy: str = ""
    shown: bool = False
    templates: TemplatesEntry | None = None
    """None as typed."""


class CameraEntry(_Entry):
    """How one canvas looked at the scan."""

    centre_mm: Point
    magnification: Annotated[float, Field(gt=0.0)]
    angles: Point


class ViewEntry(_Entry):
    """What was shown."""

    window_level: float
    window_width: float
    position: Voxel
    heat_range: tuple[float, float] | None = None
    heat_opacity: float = 0.75
    layout: str = ""
    cameras: tuple[CameraEntry, ...] = ()


class MasksEntry(_Entry):
    """Organ masks, whose labels lie in the file as an array."""

    labels: str
    legend: dict[str, int]
    source: str = ""


class FindingEntry(_Entry):
    """One finding; the mask of its region lies in the file as an array."""

    key: str
    name: str
    state: str
    index: Voxel
    world_mm: Point
    mean_hounsfield: float
    volume_ml: float | None = None
    region_start: Voxel | None = None
    region: str = ""
    prompt: PromptEntry | None = None
    anatomy: str = ""
    similarity: float | None = None
    probability: float | None = None
    threshold: float | None = None
    note: str = ""
    model: str = ""
    weights_sha256: str = ""
    preprocessing_sha256: str = ""
    ensemble: str = "as typed"


class ReportEntry(_Entry):
    """A report that the user chose to save; since schema 2."""

    text: str
    was_read: bool = False


class SessionDocument(_Entry):
    """The whole text."""

    schema_version: int = SCHEMA
    program: str
    scan: ScanEntry
    model: ModelEntry | None = None
    prompts: tuple[PromptEntry, ...] = ()
    view: ViewEntry | None = None
    masks: MasksEntry | None = None
    findings: tuple[FindingEntry, ...] = ()
    report: ReportEntry | None = None
    notes: str = ""

"""The text of a session file: its schema, versioned, and what findings are in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.finding import Finding, FindingOrigin, FindingState
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.region import Region
from napari_ctclip.core.template_set import AS_TYPED, TemplateSet

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
    "entry_of",
    "finding_of",
    "prompt_of",
    "queried_prompt",
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


def entry_of(finding: Finding, arrays: dict[str, npt.NDArray[Any]]) -> FindingEntry:
    """Return the entry of a finding; the mask of its region joins ``arrays``."""
    name = ""
    if finding.region is not None:
        name = f"findings/{finding.key}.npy"
        arrays[name] = finding.region.mask
    origin = finding.origin
    return FindingEntry(
        key=finding.key,
        name=finding.name,
        state=finding.state.value,
        index=finding.index,
        world_mm=finding.world_mm,
        mean_hounsfield=finding.mean_hounsfield,
        volume_ml=finding.volume_ml,
        region_start=None if finding.region is None else finding.region.start,
        region=name,
        prompt=None if finding.prompt is None else prompt_of(finding.prompt),
        anatomy=finding.anatomy,
        similarity=finding.similarity,
        probability=finding.probability,
        threshold=finding.threshold,
        note=finding.note,
        model=origin.model,
        weights_sha256=origin.weights_sha256,
        preprocessing_sha256=origin.preprocessing_sha256,
        ensemble=origin.ensemble,
    )


def finding_of(entry: FindingEntry, array: Callable[[str], npt.NDArray[Any]]) -> Finding:
    """Return the finding of an entry; ``array`` gives an array of the file by its name.

    Raises
    ------
    ValueError
        If its state is unknown, or its prompt odd.
    """
    region = None
    if entry.region and entry.region_start is not None:
        region = Region(entry.region_start, array(entry.region).astype(np.bool_))
    return Finding(
        key=entry.key,
        name=entry.name,
        index=entry.index,
        world_mm=entry.world_mm,
        mean_hounsfield=entry.mean_hounsfield,
        volume_ml=entry.volume_ml,
        region=region,
        prompt=None if entry.prompt is None else queried_prompt(entry.prompt),
        anatomy=entry.anatomy,
        similarity=entry.similarity,
        probability=entry.probability,
        threshold=entry.threshold,
        note=entry.note,
        state=FindingState(entry.state),
        origin=FindingOrigin(
            entry.model, entry.weights_sha256, entry.preprocessing_sha256, entry.ensemble
        ),
    )


def prompt_of(prompt: Prompt, *, shown: bool = False) -> PromptEntry:
    """Return the entry of a prompt."""
    templates = prompt.templates
    return PromptEntry(
        positive=prompt.positive,
        negative=prompt.negative,
        anatomy=prompt.anatomy,
        shown=shown,
        templates=None
        if templates == AS_TYPED
        else TemplatesEntry(
            name=templates.name, positive=templates.positive, negative=templates.negative
        ),
    )


def queried_prompt(entry: PromptEntry) -> Prompt:
    """Return the prompt of an entry.

    Raises
    ------
    ValueError
        If its words or its templates are odd.
    """
    saved, templates = entry.templates, AS_TYPED
    try:
        if saved is not None:
            templates = TemplateSet(saved.name, saved.positive, saved.negative)
        return Prompt(entry.positive, entry.negative, entry.anatomy, templates)
    except DataError as error:
        raise ValueError(str(error)) from error

"""Finding: a point or region of a scan that a person looked at, with its numbers and origin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.region import Region

__all__ = ["Finding", "FindingOrigin", "FindingState"]


class FindingState(StrEnum):
    """What a person made of a finding."""

    PROPOSED = "proposed"
    ACCEPTED = "accepted"
    EDITED = "edited"
    REJECTED = "rejected"


@dataclass(frozen=True)
class FindingOrigin:
    """What made the numbers of a finding.

    Attributes
    ----------
    model : str
        The name of the model; empty where none was used.
    weights_sha256 : str
        Hash of its weights.
    preprocessing_sha256 : str
        Hash of how it saw the scan.
    ensemble : str
        Name of the templates that the prompt was put in.
    """

    model: str = ""
    weights_sha256: str = ""
    preprocessing_sha256: str = ""
    ensemble: str = "as typed"


@dataclass(frozen=True, eq=False)
class Finding:
    """A point or a region of a scan.

    Attributes
    ----------
    key : str
        Its own name inside a session; stays when it is edited.
    name : str
        What a person calls it.
    index : tuple of int
        Voxel (z, y, x) of the scan where it was found.
    world_mm : tuple of float
        The same point in the file's RAS world, mm.
    mean_hounsfield : float
        HU in the region; in a sphere of 5 mm radius for a point.
    volume_ml : float or None
        Of the region; None for a point.
    region : Region or None
        On the grid of the scan; None for a point.
    prompt : Prompt or None
        The prompt; None where a person marked the point.
    anatomy : str
        Organ there; empty if unknown.
    similarity, probability : float or None
        The read-out of the prompt there (``scoring.region_scores``).
    threshold : float or None
        Similarity at which the heatmap was cut.
    note : str
        What the person wrote.
    state : FindingState
        What the person made of it.
    origin : FindingOrigin
        Model and preprocessing.

    Raises
    ------
    DataError
        If it has no name.
    """

    key: str
    name: str
    index: tuple[int, int, int]
    world_mm: tuple[float, float, float]
    mean_hounsfield: float
    volume_ml: float | None = None
    region: Region | None = None
    prompt: Prompt | None = None
    anatomy: str = ""
    similarity: float | None = None
    probability: float | None = None
    threshold: float | None = None
    note: str = ""
    state: FindingState = FindingState.PROPOSED
    origin: FindingOrigin = FindingOrigin()

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise DataError("a finding needs a name, e.g. 'nodule, left lower lobe'")

    @property
    def is_kept(self) -> bool:
        """Whether it goes into label maps, DICOM objects and reports."""
        return self.state is not FindingState.REJECTED

    def accepted(self) -> Finding:
        """Return it as accepted; one that was edited stays marked as such."""
        edited = self.state is FindingState.EDITED
        return self if edited else replace(self, state=FindingState.ACCEPTED)

    def rejected(self) -> Finding:
        """Return it as rejected."""
        return replace(self, state=FindingState.REJECTED)

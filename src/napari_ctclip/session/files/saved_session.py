"""Saved session: what a session file holds, and the scan it belongs to found again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ctclip.core.errors import CheckpointMismatch, DataError
from napari_ctclip.core.finding import Finding
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.volume import Volume, Window
from napari_ctclip.io.ct.read import ReadVolume, read_volume

if TYPE_CHECKING:
    from napari_ctclip.models.interface import VisionLanguageModel

__all__ = [
    "ModelReference",
    "SavedCamera",
    "SavedPrompt",
    "SavedReport",
    "SavedSession",
    "SavedView",
    "ScanReference",
    "read_scan",
]


@dataclass(frozen=True, eq=False)
class ScanReference:
    """Which scan a session belongs to.

    Attributes
    ----------
    path : str
        Where it lay.
    series : str or None
        The key of its DICOM series.
    content_sha256 : str
        The hash of its voxels and grid.
    geometry : Geometry
        Its grid.
    volume : Volume or None
        The scan itself, where it came from no file.
    """

    path: str
    series: str | None
    content_sha256: str
    geometry: Geometry
    volume: Volume | None = None

    @property
    def is_found(self) -> bool:
        """Whether there is something to read where it lay."""
        return self.volume is not None or Path(self.path).exists()


@dataclass(frozen=True)
class ModelReference:
    """Which model answered."""

    source: str
    name: str
    weights_sha256: str

    def refuse_other_weights(self, model: VisionLanguageModel) -> None:
        """Raise unless a model has the weights it had.

        Raises
        ------
        CheckpointMismatch
            If it has others.
        """
        if model.weights_hash() != self.weights_sha256:
            raise CheckpointMismatch(
                f"model {self.source!r} has other weights than when the session was saved "
                f"({self.weights_sha256[:12]}): its numbers will differ; load the model of then, "
                "or ask the prompts anew"
            )


@dataclass(frozen=True)
class SavedPrompt:
    """A prompt, and whether its heatmap was shown."""

    prompt: Prompt
    shown: bool


@dataclass(frozen=True)
class SavedCamera:
    """How one canvas looked at the scan.

    Attributes
    ----------
    centre_mm : tuple of float
        What lay in its middle, mm along Inferior, Posterior, Left; the first is 0 in a plane.
    magnification : float
        The magnification of the scan, 1 where it just fits the canvas: the same at any size of it.
    angles : tuple of float
        The angles of napari, degrees; those of three dimensions count.
    """

    centre_mm: tuple[float, float, float]
    magnification: float
    angles: tuple[float, float, float]


@dataclass(frozen=True)
class SavedView:
    """What was shown of the scan.

    Attributes
    ----------
    window : Window
        The display window of the scan.
    position : tuple of int
        The voxel (z, y, x) that the planes went through.
    heat_range : tuple of float or None
        Where the colours of heatmaps began and ended; None if nobody chose.
    heat_opacity : float
        The opacity of every heatmap.
    layout : str
        Which planes, or 3D: a value of ``plugin.views.View``; empty in files of schema 1.
    cameras : tuple of SavedCamera
        The cameras of the viewer's own canvas, then of the planes beside it.
    """

    window: Window
    position: tuple[int, int, int]
    heat_range: tuple[float, float] | None
    heat_opacity: float
    layout: str = ""
    cameras: tuple[SavedCamera, ...] = ()


@dataclass(frozen=True)
class SavedReport:
    """A report that the user chose to save, and whether it was compared with the scan."""

    text: str
    was_read: bool = False


@dataclass(frozen=True, eq=False)
class SavedSession:
    """What a session file holds.

    Attributes
    ----------
    scan : ScanReference
        The scan.
    model : ModelReference or None
        The model.
    prompts : tuple of SavedPrompt
        The prompts that were asked.
    view : SavedView or None
        What was shown.
    masks : OrganMasks or None
        The organ masks.
    findings : tuple of Finding
        The findings, with their regions.
    notes : str
        What the person wrote about the scan.
    report : SavedReport or None
        Its report, if the person chose to save it.
    """

    scan: ScanReference
    model: ModelReference | None
    prompts: tuple[SavedPrompt, ...]
    view: SavedView | None
    masks: OrganMasks | None
    findings: tuple[Finding, ...]
    notes: str = ""
    report: SavedReport | None = None


def read_scan(scan: ScanReference, moved_to: Path | None = None) -> ReadVolume:
    """Return the scan of a session, from where it lay or where it lies now; its content is checked.

    Raises
    ------
    DataError
        If it is not there, or another scan is.
    """
    if scan.volume is not None and moved_to is None:
        return ReadVolume(scan.volume)
    path = moved_to or Path(scan.path)
    if not path.exists():
        raise DataError(
            f"the scan of this session is not at {path} any more; say where it lies now"
        )
    # values that do not look like HU were accepted once, or there would be no session
    read = read_volume(path, series=scan.series, accept_suspicious=True)
    if read.volume.content_hash() != scan.content_sha256:
        raise DataError(
            f"{path} is not the scan of this session: its voxels or its grid differ; "
            "choose the file the session was saved with"
        )
    return read

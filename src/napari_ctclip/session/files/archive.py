"""Session files, ``.ctclip.zip``: a text and a few arrays, written whole or not at all."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from napari_ctclip.core.errors import DataError, UnreadableFile
from napari_ctclip.core.finding import Finding
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume, Window
from napari_ctclip.io.files import replacing
from napari_ctclip.session.files.copies import SUFFIX, describe_if_not_written
from napari_ctclip.session.files.document import (
    SCHEMA,
    CameraEntry,
    MasksEntry,
    ModelEntry,
    PromptEntry,
    ReportEntry,
    ScanEntry,
    SessionDocument,
    ViewEntry,
    entry_of,
    finding_of,
    prompt_of,
    queried_prompt,
)
from napari_ctclip.session.files.saved_session import (
    ModelReference,
    SavedCamera,
    SavedPrompt,
    SavedReport,
    SavedSession,
    SavedView,
    ScanReference,
)

if TYPE_CHECKING:
    from napari_ctclip.models.interface import VisionLanguageModel

__all__ = ["SUFFIX", "SessionState", "read_session", "write_session"]

_TEXT = "session.json"
_MASKS, _VOXELS = "organ_masks.npy", "scan.npy"


@dataclass(frozen=True, eq=False)
class SessionState:
    """What is saved, held still while it is written.

    Attributes
    ----------
    study : Study
        The scan and its organ masks.
    model : VisionLanguageModel or None
        What answers.
    model_source : str
        What it was loaded by.
    prompts : sequence of SavedPrompt
        What was asked.
    view : SavedView or None
        What is shown.
    findings : sequence of Finding
        The findings, with their regions.
    notes : str
        The notes about the scan.
    report : SavedReport or None
        Its report, only where the person chose to keep it.
    """

    study: Study
    model: VisionLanguageModel | None = None
    model_source: str = "starter"
    prompts: Sequence[SavedPrompt] = ()
    view: SavedView | None = None
    findings: Sequence[Finding] = ()
    notes: str = ""
    report: SavedReport | None = None


def write_session(state: SessionState, path: Path | str) -> Path:
    """Write a session file; slow, it hashes the scan.

    It names the folder of the scan; voxels are in it only where the scan came from no file.

    Raises
    ------
    DataError
        If the folder takes no file; an older file of that name is then as it was.
    """
    path = Path(path)
    arrays: dict[str, npt.NDArray[Any]] = {}
    document = SessionDocument(
        program=f"napari-ctclip {version('napari-ctclip')}",
        scan=_scan_entry(state.study.volume, arrays),
        model=_model_entry(state),
        prompts=tuple(prompt_of(kept.prompt, shown=kept.shown) for kept in state.prompts),
        view=_view_entry(state.view),
        masks=_masks_entry(state.study.organ_masks, arrays),
        findings=tuple(entry_of(finding, arrays) for finding in state.findings),
        notes=state.notes,
        report=None if state.report is None else ReportEntry(**asdict(state.report)),
    )
    with describe_if_not_written(path), replacing(path, durable=True) as partial:
        _write(partial, document, arrays)
    return path


def read_session(path: Path | str) -> SavedSession:
    """Return what a session file holds; the scan itself is read by :func:`read_scan`.

    Raises
    ------
    UnreadableFile
        If it is missing, damaged or no session file.
    DataError
        If a newer version of this program wrote it.
    """
    path = Path(path)
    if not path.is_file():
        raise UnreadableFile(f"there is no session file {path}; check the path")
    try:
        with zipfile.ZipFile(path) as archive:
            content = json.loads(archive.read(_TEXT))
            _refuse_newer(content, path)
            document = SessionDocument.model_validate(content)
            return _session_of(document, archive)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UnreadableFile(
            f"{path} is no whole session file: {where}: {first['msg']}; take an earlier copy of it"
        ) from error
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, EOFError, OSError) as error:
        raise UnreadableFile(
            f"{path} is damaged or no session file ({error}); take an earlier copy of it"
        ) from error


# --- writing --------------------------------------------------------------------------------------


def _write(partial: Path, document: SessionDocument, arrays: dict[str, npt.NDArray[Any]]) -> None:
    # level 1: masks and voxels shrink nearly as much, in a third of the time
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(_TEXT, document.model_dump_json(indent=1))
        for name, array in arrays.items():
            with archive.open(name, "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.ascontiguousarray(array))


def _scan_entry(volume: Volume, arrays: dict[str, npt.NDArray[Any]]) -> ScanEntry:
    series = volume.metadata.get("series")
    if not volume.source_path:
        arrays[_VOXELS] = volume.voxels
    return ScanEntry(
        path=str(Path(volume.source_path).absolute()) if volume.source_path else "",
        series=None if series is None else str(series),
        content_sha256=volume.content_hash(),
        shape=volume.geometry.shape,
        affine_ras=volume.geometry.affine.tolist(),
        voxels="" if volume.source_path else _VOXELS,
    )


def _model_entry(state: SessionState) -> ModelEntry | None:
    if state.model is None:
        return None
    return ModelEntry(
        source=state.model_source,
        name=state.model.name,
        weights_sha256=state.model.weights_hash(),
    )


def _view_entry(view: SavedView | None) -> ViewEntry | None:
    if view is None:
        return None
    return ViewEntry(
        window_level=view.window.level,
        window_width=view.window.width,
        position=view.position,
        heat_range=view.heat_range,
        heat_opacity=view.heat_opacity,
        layout=view.layout,
        cameras=tuple(
            CameraEntry(centre_mm=c.centre_mm, magnification=c.magnification, angles=c.angles)
            for c in view.cameras
        ),
    )


def _masks_entry(
    masks: OrganMasks | None, arrays: dict[str, npt.NDArray[Any]]
) -> MasksEntry | None:
    if masks is None:
        return None
    arrays[_MASKS] = masks.labels
    return MasksEntry(labels=_MASKS, legend=dict(masks.legend), source=masks.source)


# --- reading --------------------------------------------------------------------------------------


def _refuse_newer(content: Any, path: Path) -> None:
    found = content.get("schema_version") if isinstance(content, dict) else None
    if isinstance(found, int) and found > SCHEMA:
        raise DataError(
            f"{path} was saved by a newer version of this program (schema {found}; this one reads "
            f"up to {SCHEMA}): update napari-ctclip to open it"
        )


def _session_of(document: SessionDocument, archive: zipfile.ZipFile) -> SavedSession:
    geometry = Geometry(document.scan.shape, np.asarray(document.scan.affine_ras))
    model, view = document.model, document.view
    return SavedSession(
        scan=_scan_of(document.scan, geometry, archive),
        model=None if model is None else ModelReference(**model.model_dump()),
        prompts=tuple(_saved_prompt(entry) for entry in document.prompts),
        view=None if view is None else _saved_view(view),
        masks=_masks_of(document.masks, geometry, archive),
        findings=tuple(
            finding_of(entry, lambda name: _array(archive, name)) for entry in document.findings
        ),
        notes=document.notes,
        report=None if document.report is None else SavedReport(**document.report.model_dump()),
    )


def _scan_of(entry: ScanEntry, geometry: Geometry, archive: zipfile.ZipFile) -> ScanReference:
    volume = Volume(_array(archive, entry.voxels), geometry) if entry.voxels else None
    return ScanReference(entry.path, entry.series, entry.content_sha256, geometry, volume)


def _saved_view(entry: ViewEntry) -> SavedView:
    return SavedView(
        Window(entry.window_level, entry.window_width),
        entry.position,
        entry.heat_range,
        entry.heat_opacity,
        entry.layout,
        tuple(SavedCamera(c.centre_mm, c.magnification, c.angles) for c in entry.cameras),
    )


def _saved_prompt(entry: PromptEntry) -> SavedPrompt:
    return SavedPrompt(queried_prompt(entry), entry.shown)


def _masks_of(
    entry: MasksEntry | None, geometry: Geometry, archive: zipfile.ZipFile
) -> OrganMasks | None:
    if entry is None:
        return None
    return OrganMasks(_array(archive, entry.labels), entry.legend, geometry, entry.source)


def _array(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    content = BytesIO(archive.read(name))
    return np.asarray(np.lib.format.read_array(content, allow_pickle=False))

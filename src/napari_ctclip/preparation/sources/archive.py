"""An archive of any known layout to a draft of its studies; the layout is given or recognised."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from napari_ctclip.core.errors import CtClipError, DataError
from napari_ctclip.io.store.manifest import check_manifest
from napari_ctclip.preparation.rejection import Rejection
from napari_ctclip.preparation.sources.ct_rate import draft_from_ct_rate, is_ct_rate
from napari_ctclip.preparation.sources.draft import Draft
from napari_ctclip.preparation.sources.organ_reports import (
    FVLM_FILES,
    draft_from_fvlm,
    draft_from_merlin,
)
from napari_ctclip.preparation.sources.report_table import draft_from_table

__all__ = ["LAYOUTS", "Source", "draft_of"]

LAYOUTS = ("auto", "manifest", "table", "ct-rate", "fvlm", "merlin", "radiographs")


@dataclass(frozen=True)
class Source:
    """Where an archive lies and how it is laid out.

    Attributes
    ----------
    path : Path
        Folder of scans, or a manifest.
    layout : str
        One of ``LAYOUTS``.
    reports : Path or None
        Table of reports (``table``, ``radiographs``) or JSON of organ reports (``merlin``).
    normal : Path or None
        Merlin's JSON of normal and abnormal organs.
    columns : tuple of str
        ``field=Column`` each.
    masks_folder : Path or None
        Label maps called like their studies.
    """

    path: Path
    layout: str = "auto"
    reports: Path | None = None
    normal: Path | None = None
    columns: tuple[str, ...] = ()
    masks_folder: Path | None = None


def draft_of(source: Source) -> Draft:
    """Return the studies of an archive.

    Raises
    ------
    DataError
        If its tables cannot be read.
    CtClipError
        If the layout is unknown or cannot be recognised.
    """
    folder = source.masks_folder
    source = replace(  # workers on other machines start in other folders
        source,
        path=source.path.absolute(),
        masks_folder=None if folder is None else folder.absolute(),
    )
    layout = _recognised(source) if source.layout == "auto" else source.layout
    if layout == "manifest":
        return _from_manifest(source.path)
    if layout == "ct-rate":
        return draft_from_ct_rate(source.path, masks_folder=source.masks_folder)
    if layout == "fvlm":
        return draft_from_fvlm(source.path, masks_folder=source.masks_folder)
    if layout not in LAYOUTS:
        raise CtClipError(f"unknown layout {layout!r}; expected one of {', '.join(LAYOUTS)}")
    if source.reports is None:
        raise CtClipError(f"layout {layout} needs --reports FILE")
    if layout == "merlin":
        return draft_from_merlin(
            source.reports, source.path, normal=source.normal, masks_folder=source.masks_folder
        )
    return draft_from_table(
        source.reports,
        source.path,
        columns=source.columns,
        masks_folder=source.masks_folder,
        radiographs=layout == "radiographs",
    )


def _recognised(source: Source) -> str:
    path = source.path
    if not path.exists():
        raise DataError(f"there is no {path}; check the path")
    if path.is_file():
        return "manifest"
    if source.reports is not None:
        return "merlin" if source.reports.suffix.lower() == ".json" else "table"
    if all((path / name).is_file() for name in FVLM_FILES):
        return "fvlm"
    if is_ct_rate(path):
        return "ct-rate"
    raise DataError(
        f"{path}: no manifest, no {' and '.join(FVLM_FILES)}, no CT-RATE tables; give the table of "
        "reports with --reports, or say what it is with --layout"
    )


def _from_manifest(path: Path) -> Draft:
    entries, faults = check_manifest(path)
    rejections = [
        Rejection(fault.study_id, "", "", fault.code, f"{path}, {fault}") for fault in faults
    ]
    return Draft(list(entries), rejections)

"""Scans and organ masks as a notebook reads and makes them: notices become Python warnings."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume

if TYPE_CHECKING:
    from napari_ctclip.core.organ_masks import OrganMasks

__all__ = [
    "MaskMethod",
    "Scan",
    "ScanWarning",
    "organ_masks",
    "progress_bar",
    "read_organ_masks",
    "read_volume",
    "study_of",
    "warn_of",
]

_LOG = logging.getLogger("napari_ctclip")

Scan: TypeAlias = Volume | Study
"""A CT with or without its organ masks and report."""

MaskMethod = Literal["quick", "totalsegmentator"]


class ScanWarning(UserWarning):
    """Something about a scan or a model that may make an answer wrong."""


def read_volume(
    path: Path | str, *, series: int | str | None = None, accept_suspicious: bool = False
) -> Volume:
    """Return the CT in a NIfTI, NRRD or MetaImage file, or in a DICOM folder or file.

    What is odd about the file (missing slices, a tilted gantry, repaired padding) is a
    ``ScanWarning``.

    Parameters
    ----------
    path : path
        The file or folder.
    series : int or str, optional
        The series of a DICOM folder: its number in the list, from 1, or its key.
    accept_suspicious : bool
        Read numbers that do not look like HU, with a warning, instead of refusing them.

    Returns
    -------
    Volume
        The voxels as int16 HU with axes pointing Inferior, Posterior, Left.

    Raises
    ------
    UnreadableFile
        If the file is missing, empty, cut short, damaged or of another format.
    NotHounsfield
        If the numbers cannot be HU.
    SeriesChoiceNeeded
        If a folder holds several CT series; the error lists them.
    """
    from napari_ctclip.io import read_volume as read

    found = read(path, series=series, accept_suspicious=accept_suspicious)
    warn_of(found.notices)
    return found.volume


def read_organ_masks(path: Path | str, scan: Scan, *, legend: str | None = None) -> OrganMasks:
    """Return the organ masks in a label map, on the grid of a scan.

    Parameters
    ----------
    path : path
        A NIfTI, NRRD or MetaImage label map, or a DICOM SEG.
    scan : Volume or Study
        The scan that the masks were made for.
    legend : str, optional
        What the labels mean: a JSON or TSV file, ``"totalsegmentator-v1"`` or
        ``"totalsegmentator-v2"``; found beside the label map or in it by default.

    Raises
    ------
    UnknownLabelScheme
        If nothing explains the labels.
    GeometryMismatch
        If the label map does not lie on the scan.
    """
    from napari_ctclip.io import read_organ_masks as read

    found = read(Path(path), study_of(scan).volume, legend=legend)
    warn_of(found.notices)
    return found.masks


def organ_masks(scan: Scan, *, method: MaskMethod = "quick", progress: bool = True) -> OrganMasks:
    """Return organ masks made for a scan.

    Parameters
    ----------
    scan : Volume or Study
        The scan.
    method : {"quick", "totalsegmentator"}
        ``"quick"`` finds lungs, airways, bone, mediastinum and body from CT numbers and shape, in
        seconds; ``"totalsegmentator"`` runs the model of that name, where it is installed.
    progress : bool
        Show a progress bar.

    Raises
    ------
    DataError
        If there is no such method.
    CtClipError
        If TotalSegmentator is not installed.
    """
    volume = study_of(scan).volume
    if method == "quick":
        from napari_ctclip.segmentation.quick_masks import quick_organ_masks

        with progress_bar("organ masks", show=progress) as report:
            return quick_organ_masks(volume, progress=report)
    if method == "totalsegmentator":
        from napari_ctclip.segmentation.totalsegmentator import segment_with_totalsegmentator

        return segment_with_totalsegmentator(volume)
    raise DataError(f"no method {method!r}; expected one of {', '.join(get_args(MaskMethod))}")


def study_of(scan: Scan) -> Study:
    """Return a study for a volume, and a study as it is.

    Raises
    ------
    DataError
        If it is neither.
    """
    if isinstance(scan, Study):
        return scan
    if isinstance(scan, Volume):
        return Study(scan)
    raise DataError(
        f"expected a Volume or a Study, got {type(scan).__name__}; read the scan with read_volume"
    )


def warn_of(notices: Iterable[Notice]) -> None:
    """Issue a ``ScanWarning`` for every warning, and log the rest."""
    for notice in notices:
        if notice.severity is Severity.WARNING:
            where = f" [{notice.path}]" if notice.path else ""
            warnings.warn(f"{notice.message}{where}", ScanWarning, stacklevel=3)
        else:
            _LOG.info("%s", notice)


@contextmanager
def progress_bar(title: str, *, show: bool = True) -> Iterator[Callable[[int, int], None]]:
    """Show a bar in a terminal or notebook; give the function that moves it."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    is_seen = show and (console.is_terminal or console.is_jupyter)
    with Progress(*columns, console=console, transient=True, disable=not is_seen) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)

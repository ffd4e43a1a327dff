"""Which CT series lie in a folder, and which one is meant."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from napari_ctclip.core.errors import DataError, SeriesChoiceNeeded
from napari_ctclip.io.ct.dicom_headers import (
    SliceHeader,
    read_slice_headers,
    refuse_if_cut,
    short_hash,
)
from napari_ctclip.io.ct.file_format import dicom_files

__all__ = ["SeriesInfo", "choose_series", "list_series"]

_FEWEST_SLICES = 2


@dataclass(frozen=True)
class SeriesInfo:
    """One CT series in a folder, without its voxels.

    Attributes
    ----------
    key : str
        Short hash of its UID; stable, says nothing about the patient.
    number : int or None
        DICOM's series number.
    description, kernel : str
        As the scanner wrote them.
    slices : int
        How many there are.
    spacing_mm : tuple of float
        Between slices (median), rows, columns.
    thickness_mm : float or None
        Slice thickness.
    headers : tuple of SliceHeader
        Its slices, not sorted.
    left_out : tuple of Path
        Images of the same UID that do not belong to the stack.
    """

    key: str
    number: int | None
    description: str
    kernel: str
    slices: int
    spacing_mm: tuple[float, float, float]
    thickness_mm: float | None
    headers: tuple[SliceHeader, ...] = field(repr=False, compare=False, default=())
    left_out: tuple[Path, ...] = field(repr=False, compare=False, default=())

    def __str__(self) -> str:
        number = "" if self.number is None else f"series {self.number}: "
        kernel = f", kernel {self.kernel}" if self.kernel else ""
        z, y, x = self.spacing_mm
        return (
            f"{number}{self.description or 'no description'}{kernel}, {self.slices} slices, "
            f"{z:.2f} x {y:.2f} x {x:.2f} mm [{self.key}]"
        )


def list_series(folder: Path | str) -> list[SeriesInfo]:
    """Return the CT series in a folder and its subfolders; localizers and other images left out.

    One series UID that mixes orientations, sizes or acquisitions is listed as several.

    Raises
    ------
    DataError
        If the folder holds no CT series.
    """
    folder = Path(folder)
    if not folder.exists():
        raise DataError(f"there is no folder {folder}; check the path")
    return _series_of(list(dicom_files(folder)), folder)


def choose_series(path: Path, series: int | str | None) -> SeriesInfo:
    """Return the series that is meant by a folder, or by one DICOM file of it.

    Parameters
    ----------
    path : Path
        Folder or file.
    series : int, str or None
        Its place in the list, from 1; or the start of its key, or its UID.

    Raises
    ------
    SeriesChoiceNeeded
        If several series remain.
    DataError
        If there is none, or none that ``series`` fits.
    """
    if path.is_file():
        own = read_slice_headers(path)
        if not own:
            raise DataError(f"{path}: a DICOM object without an image, expected a CT slice")
        _refuse_other_modality(own, path)
        files = [p for p in dicom_files(path.parent) if p.parent == path.parent]
        found = [s for s in _series_of(files, path) if _holds(s, own[0])]
        if not found:
            refuse_if_cut(own[0])
            raise DataError(f"{path}: a localizer or a lone slice, expected a slice of a CT series")
    else:
        found = list_series(path)
    if series is not None:
        return _by_name(found, series, path)
    if len(found) > 1:
        choices = tuple(str(info) for info in found)
        listed = "\n".join(f"  {n}. {line}" for n, line in enumerate(choices, 1))
        raise SeriesChoiceNeeded(
            f"{path} holds {len(found)} CT series; choose one by its number:\n{listed}", choices
        )
    return found[0]


def _by_name(found: list[SeriesInfo], series: int | str, path: Path) -> SeriesInfo:
    if isinstance(series, str) and series.isdigit() and int(series) <= len(found):
        series = int(series)
    if isinstance(series, int):
        if 1 <= series <= len(found):
            return found[series - 1]
    else:
        fitting = [s for s in found if s.key.startswith(series)]
        fitting = fitting or [s for s in found if s.headers[0].series_uid == series]
        if len(fitting) == 1:
            return fitting[0]
    raise DataError(
        f"{path}: no series {series!r}; there are {len(found)}: " + "; ".join(map(str, found))
    )


def _series_of(files: list[Path], where: Path) -> list[SeriesInfo]:
    if not files:
        raise DataError(
            f"{where}: no DICOM files in this folder; expected the slices of a CT series, "
            "or name the .nii.gz file itself"
        )
    headers = [header for path in files for header in read_slice_headers(path)]
    if not headers:
        raise DataError(f"{where}: DICOM files without images, expected a CT series")
    _refuse_other_modality(headers, where)
    by_uid: dict[str, list[SliceHeader]] = defaultdict(list)
    for header in headers:
        if header.text("Modality") in ("CT", "") and not header.is_localizer:
            by_uid[header.series_uid].append(header)
    found = [info for uid in by_uid for info in _split(by_uid[uid])]
    if not found:
        for header in headers:
            refuse_if_cut(header)
        raise DataError(
            f"{where}: only localizers or lone slices, expected a CT series of at least "
            f"{_FEWEST_SLICES} slices with positions (Image Position Patient)"
        )
    return sorted(found, key=lambda s: (s.number is None, s.number or 0, s.key, -s.slices))


def _refuse_other_modality(headers: list[SliceHeader], where: Path) -> None:
    modalities = Counter(header.text("Modality") for header in headers)
    if not {"CT", ""} & set(modalities):
        raise DataError(
            f"{where}: modality {', '.join(sorted(modalities))}, expected CT; "
            "this package reads CT only"
        )


def _split(headers: list[SliceHeader]) -> list[SeriesInfo]:
    """Return the stackable parts of one series UID: same orientation, size and acquisition."""
    parts: dict[tuple[object, ...], list[SliceHeader]] = defaultdict(list)
    left_out = [h.path for h in headers if _is_unplaced(h)]
    for header in headers:
        if not _is_unplaced(header):
            parts[_stack_key(header)].append(header)
    groups = [piece for part in parts.values() for piece in _acquisitions(part)]
    left_out += [h.path for group in groups if len(group) < _FEWEST_SLICES for h in group]
    return [_info(group, tuple(left_out)) for group in groups if len(group) >= _FEWEST_SLICES]


def _is_unplaced(header: SliceHeader) -> bool:
    return header.position is None or header.orientation is None or header.pixel_spacing is None


def _stack_key(header: SliceHeader) -> tuple[object, ...]:
    assert header.orientation is not None
    assert header.pixel_spacing is not None
    orientation = tuple((np.round(header.orientation, 2) + 0.0).tolist())
    spacing = tuple(round(s, 3) for s in header.pixel_spacing)
    return header.rows, header.columns, orientation, spacing


def _acquisitions(headers: list[SliceHeader]) -> list[list[SliceHeader]]:
    """Split by acquisition only where the same places were scanned more than once."""
    places = Counter(
        tuple(np.round(h.position, 2).tolist()) for h in headers if h.position is not None
    )
    repeated = sum(1 for count in places.values() if count > 1)
    by_number: dict[str, list[SliceHeader]] = defaultdict(list)
    for header in headers:
        by_number[header.text("AcquisitionNumber")].append(header)
    if repeated > len(places) / 2 and len(by_number) > 1:
        return list(by_number.values())
    return [headers]


def _info(headers: list[SliceHeader], left_out: tuple[Path, ...]) -> SeriesInfo:
    first = headers[0]
    assert first.orientation is not None
    assert first.pixel_spacing is not None
    normal = np.cross(first.orientation[:3], first.orientation[3:])
    heights = np.unique(
        [round(float(h.position @ normal), 3) for h in headers if h.position is not None]
    )
    step = float(np.median(np.diff(heights))) if len(heights) > 1 else 0.0
    number = first.number("SeriesNumber")
    return SeriesInfo(
        key=short_hash(first.series_uid),
        number=None if number is None else int(number),
        description=first.text("SeriesDescription"),
        kernel=first.text("ConvolutionKernel"),
        slices=len(headers),
        spacing_mm=(step, *first.pixel_spacing),
        thickness_mm=first.number("SliceThickness"),
        headers=tuple(headers),
        left_out=left_out,
    )


def _holds(info: SeriesInfo, header: SliceHeader) -> bool:
    return any(h.path == header.path for h in info.headers)

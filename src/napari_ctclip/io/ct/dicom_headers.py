"""DICOM headers as slices: one record a slice or frame, with what reading and checking need."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom

from napari_ctclip.core.errors import UnreadableFile
from napari_ctclip.core.volume import Window

__all__ = ["UNCOMPRESSED", "SliceHeader", "read_slice_headers", "refuse_if_cut", "short_hash"]

UNCOMPRESSED = {
    "",  # no file meta: old exports, implicit little endian
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
}
"""Transfer syntaxes whose pixels lie in the file as they are (or deflated)."""

_TAGS = [
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "Modality", "ImageType", "SeriesNumber",
    "SeriesDescription", "ConvolutionKernel", "Manufacturer", "ManufacturerModelName", "KVP",
    "ContrastBolusAgent", "BodyPartExamined", "AcquisitionNumber", "InstanceNumber",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "Rows",
    "Columns", "NumberOfFrames", "SamplesPerPixel", "BitsAllocated", "PixelRepresentation",
    "RescaleSlope", "RescaleIntercept", "RescaleType", "PixelPaddingValue", "WindowCenter",
    "WindowWidth", "WindowCenterWidthExplanation", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
]  # fmt: skip
_KEPT = {
    "Modality": "modality",
    "SeriesDescription": "series_description",
    "ConvolutionKernel": "kernel",
    "Manufacturer": "manufacturer",
    "ManufacturerModelName": "manufacturer_model",
    "SliceThickness": "slice_thickness_mm",
    "KVP": "tube_voltage_kv",
    "BodyPartExamined": "body_part",
}


@dataclass(frozen=True, eq=False)
class SliceHeader:
    """One slice of a series: a file, or a frame of a multi-frame file.

    Attributes
    ----------
    path : Path
        The file.
    frame : int
        Frame in the file, from 0.
    series_uid : str
        Series instance UID; never shown or stored, only hashed.
    position, orientation : ndarray, shape (3,) and (6,), or None
        DICOM's Image Position and Image Orientation (Patient), LPS mm.
    pixel_spacing : tuple of float or None
        Between rows, between columns, mm.
    tags : mapping
        The other values read, by DICOM keyword.
    """

    path: Path
    frame: int
    series_uid: str
    position: npt.NDArray[np.float64] | None
    orientation: npt.NDArray[np.float64] | None
    pixel_spacing: tuple[float, float] | None
    rows: int
    columns: int
    slope: float
    intercept: float
    transfer_syntax: str
    tags: dict[str, Any]

    def text(self, keyword: str) -> str:
        """Return a tag as text; several values joined by a space, nothing as ``""``."""
        value = self.tags.get(keyword)
        if value is None:
            return ""
        if isinstance(value, (list, pydicom.multival.MultiValue)):
            return " ".join(str(part) for part in value)
        return str(value).strip()

    def number(self, keyword: str) -> float | None:
        """Return a tag as a number; None if there is none."""
        try:
            return float(self.text(keyword))
        except ValueError:
            return None

    @property
    def is_localizer(self) -> bool:
        """Whether this is a scout view."""
        return "LOCALIZER" in self.text("ImageType").upper()

    @property
    def metadata(self) -> dict[str, Any]:
        """What is kept of the header: nothing that names a patient, UIDs only as a hash."""
        kept: dict[str, Any] = {"format": "DICOM", "series": short_hash(self.series_uid)}
        for keyword, name in _KEPT.items():
            text = self.text(keyword)
            if text:
                number = self.number(keyword)
                kept[name] = number if name.endswith(("_mm", "_kv")) and number else text
        return kept

    @property
    def windows(self) -> dict[str, Window]:
        """The windows the file proposes, by their explanation."""
        levels, widths = self._numbers("WindowCenter"), self._numbers("WindowWidth")
        names = self.tags.get("WindowCenterWidthExplanation")
        names = [names] if isinstance(names, str) else list(names or [])
        found: dict[str, Window] = {}
        for index, (level, width) in enumerate(zip(levels, widths, strict=False)):
            if width > 0:
                name = str(names[index]).strip() if index < len(names) else ""
                found[name or f"File {index + 1}"] = Window(level, width)
        return found

    def _numbers(self, keyword: str) -> list[float]:
        value = self.tags.get(keyword)
        if value is None or value == "":
            return []
        many = isinstance(value, (list, pydicom.multival.MultiValue))
        return [float(part) for part in (value if many else [value])]


def read_slice_headers(path: Path) -> list[SliceHeader]:
    """Return one record a slice in a DICOM file; none for objects without an image.

    Raises
    ------
    UnreadableFile
        If the header is damaged.
    """
    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS, force=True)
        if "Rows" not in dataset or "Columns" not in dataset:
            return []
        meta = getattr(dataset, "file_meta", None)
        syntax = str(meta.get("TransferSyntaxUID", "")) if meta is not None else ""
        tags = {e.keyword: e.value for e in dataset if e.VR != "SQ"}
        if "PerFrameFunctionalGroupsSequence" in dataset:
            return _frames(path, dataset, tags, syntax)
        return [_record(path, 0, tags, tags, syntax)]
    except (pydicom.errors.InvalidDicomError, EOFError, ValueError, TypeError, KeyError) as error:
        raise UnreadableFile(
            f"{path}: the DICOM header is damaged ({error}); copy it again"
        ) from error


def refuse_if_cut(header: SliceHeader) -> None:
    """Raise if an uncompressed file is too short for its pixels; looks at its size only.

    Raises
    ------
    UnreadableFile
        Naming the file.
    """
    if header.transfer_syntax not in UNCOMPRESSED or header.transfer_syntax.endswith(".99"):
        return
    bits = header.number("BitsAllocated") or 16
    frames = header.number("NumberOfFrames") or 1
    needed = int(frames * header.rows * header.columns * bits) // 8
    size = header.path.stat().st_size
    if size < needed:
        raise UnreadableFile(
            f"{header.path} is cut short: {size} bytes, expected more than {needed} for "
            f"{header.rows} x {header.columns} pixels; copy the file again or leave it out"
        )


def short_hash(uid: str) -> str:
    """Return eight hex digits that stand for a UID without giving it away."""
    return sha256(uid.encode()).hexdigest()[:8]


def _frames(path: Path, dataset: Any, tags: dict[str, Any], syntax: str) -> list[SliceHeader]:
    """Return a record a frame: what belongs to the frame, else what all frames share."""
    shared = _flattened(dataset.get("SharedFunctionalGroupsSequence") or [])
    return [
        _record(path, frame, {**tags, **shared, **_flattened([group])}, tags, syntax)
        for frame, group in enumerate(dataset.PerFrameFunctionalGroupsSequence)
    ]


def _flattened(groups: Any) -> dict[str, Any]:
    """Return the values inside functional groups: each group is a sequence of one item."""
    found: dict[str, Any] = {}
    for group in groups:
        for element in group:
            if element.VR == "SQ":
                for item in element.value:
                    found.update({e.keyword: e.value for e in item if e.VR != "SQ"})
    return found


def _record(
    path: Path, frame: int, values: dict[str, Any], file_tags: dict[str, Any], syntax: str
) -> SliceHeader:
    def numbers(keyword: str, count: int) -> npt.NDArray[np.float64] | None:
        value = values.get(keyword)
        if value is None or value == "" or len(value) != count:
            return None
        return np.asarray([float(part) for part in value])

    spacing = numbers("PixelSpacing", 2)
    slope, intercept = values.get("RescaleSlope"), values.get("RescaleIntercept")
    return SliceHeader(
        path=path,
        frame=frame,
        series_uid=str(file_tags.get("SeriesInstanceUID", "")),
        position=numbers("ImagePositionPatient", 3),
        orientation=numbers("ImageOrientationPatient", 6),
        pixel_spacing=None if spacing is None else (float(spacing[0]), float(spacing[1])),
        rows=int(file_tags["Rows"]),
        columns=int(file_tags["Columns"]),
        slope=1.0 if slope in (None, "") else float(slope),
        intercept=0.0 if intercept in (None, "") else float(intercept),
        transfer_syntax=syntax,
        tags=values,
    )

"""The DICOM series a scan was read from: what objects derived from it must refer to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.geometry import INTERNAL_AXES, AxisTransform, Geometry
from napari_ctclip.core.volume import Volume
from napari_ctclip.io.ct.dicom_series import choose_series

__all__ = ["DicomGrid", "DicomSource", "dicom_grid", "dicom_source"]

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_NOT_DICOM = (
    "DICOM SEG and Parametric Map need the DICOM series the scan was read from (its patient, "
    "study, frame of reference and slices), and {what} has none of these; open the DICOM folder "
    "and export from there, or take the NIfTI export"
)
_MAY_BE_EMPTY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
    "StudyID", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
_NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID")


@dataclass(frozen=True, eq=False)
class DicomSource:
    """A CT series as DICOM.

    Attributes
    ----------
    headers : tuple of pydicom.Dataset
        One a file, superior first, without pixels. They hold patient data: they go into DICOM
        objects and nowhere else.
    """

    headers: tuple[pydicom.Dataset, ...]

    @property
    def frame_of_reference(self) -> str:
        """UID of the coordinate system."""
        return str(self.headers[0].FrameOfReferenceUID)

    @property
    def series_number(self) -> int:
        """Number of the series in its study."""
        return int(self.headers[0].get("SeriesNumber") or 0)


@dataclass(frozen=True, eq=False)
class DicomGrid:
    """The grid whose slices are the frames of an object derived from a scan.

    Attributes
    ----------
    affine_lps : ndarray, shape (4, 4)
        (slice, row, column) -> LPS mm.
    from_internal : AxisTransform
        What brings an internal array to (slice, row, column).
    """

    affine_lps: npt.NDArray[np.float64]
    from_internal: AxisTransform


def dicom_source(volume: Volume) -> DicomSource:
    """Return the series that a scan was read from.

    Raises
    ------
    DataError
        If it was read from another format, its files are gone, or a UID is missing.
    """
    if volume.metadata.get("format") != "DICOM" or not volume.source_path:
        name = Path(volume.source_path).name
        suffix = "".join(Path(name).suffixes[-2:]) if name else ""
        what = f"a {suffix} file" if suffix else "a scan made in memory"
        raise DataError(_NOT_DICOM.format(what=what))
    info = choose_series(Path(volume.source_path), str(volume.metadata["series"]))
    paths = dict.fromkeys(header.path for header in info.headers)
    headers = [pydicom.dcmread(p, stop_before_pixels=True, force=True) for p in paths]
    for header in headers:
        missing = [keyword for keyword in _NEEDED if not header.get(keyword)]
        if missing:
            raise DataError(
                f"{volume.source_path}: the slices lack {', '.join(missing)}, so nothing in DICOM "
                "can refer to them; take the NIfTI export"
            )
        for keyword in _MAY_BE_EMPTY:  # DICOM's type 2: there, but allowed to say nothing
            if keyword not in header:
                setattr(header, keyword, "")
    return DicomSource(tuple(_superior_first(headers)))


def dicom_grid(volume: Volume) -> DicomGrid:
    """Return the planes of the series where they make a right-angled stack, else those shown.

    A tilted gantry was made upright on reading: its slices are not planes of that stack.
    """
    stored = volume.stored_geometry
    to_internal = stored.transform_to(INTERNAL_AXES)
    if stored.reoriented(to_internal).coincides_with(volume.geometry):
        back = to_internal.inverse()
        # the file's order is (column, row, slice); DICOM's frames are (slice, row, column)
        turned = AxisTransform(
            (back.permutation[2], back.permutation[1], back.permutation[0]),
            (back.flips[2], back.flips[1], back.flips[0]),
        )
    else:
        turned = AxisTransform((0, 1, 2), (False, False, False))
    grid = volume.geometry.reoriented(turned)
    return DicomGrid(lps_affine(grid), turned)


def lps_affine(geometry: Geometry) -> npt.NDArray[np.float64]:
    """Return the affine of a grid to DICOM's patient axes (Left, Posterior, Superior), mm."""
    return np.asarray(_RAS_TO_LPS @ geometry.affine)


def _superior_first(headers: Sequence[pydicom.Dataset]) -> list[pydicom.Dataset]:
    def height(header: pydicom.Dataset) -> float:
        position = header.get("ImagePositionPatient")
        orientation = header.get("ImageOrientationPatient")
        if not position or not orientation:
            return 0.0  # one multi-frame file: its places are in its frames
        along = np.asarray(orientation, dtype=float)
        normal = np.cross(along[:3], along[3:])
        return float(np.asarray(position, dtype=float) @ normal)

    return sorted(headers, key=height, reverse=True)

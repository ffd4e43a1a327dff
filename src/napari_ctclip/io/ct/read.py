"""Any CT file or folder to a Volume in HU, checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import UnreadableFile
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.core.volume import Volume
from napari_ctclip.io.ct.archive_metadata import ArchiveMetadata, with_archive_metadata
from napari_ctclip.io.ct.file_format import FileFormat, file_format, holds_dicom
from napari_ctclip.io.ct.hounsfield import AIR_HU, check_hounsfield, replace_padding
from napari_ctclip.io.ct.stored_scan import StoredScan

__all__ = [
    "ReadVolume",
    "can_read",
    "read_volume",
    "shear_degrees",
    "without_shear",
]

_LEAST_SHEAR_DEGREES = 0.1  # below lies rounding: 0.2 mm over a slice stack of 10 cm


@dataclass(frozen=True, eq=False)
class ReadVolume:
    """A volume as read, with what the user should know about it.

    Attributes
    ----------
    volume : Volume
        The scan.
    notices : tuple of Notice
        Shown alike by viewer and command line.
    """

    volume: Volume
    notices: tuple[Notice, ...] = ()


def can_read(path: Path | str) -> bool:
    """Return whether a path looks like something :func:`read_volume` reads; looks at bytes only."""
    path = Path(path)
    try:
        if path.is_dir():
            return holds_dicom(path)
        return file_format(path) is not None
    except (UnreadableFile, OSError):
        return False


def read_volume(
    path: Path | str,
    *,
    series: int | str | None = None,
    accept_suspicious: bool = False,
    metadata: ArchiveMetadata | None = None,
) -> ReadVolume:
    """Return the CT in a NIfTI, NRRD or MetaImage file, or in a DICOM folder or file.

    Parameters
    ----------
    path : path
        File or folder.
    series : int or str, optional
        Which series of a DICOM folder: its place in ``list_series``, from 1, or its key.
    accept_suspicious : bool
        Read numbers that do not look like HU, with a warning, instead of refusing them.
    metadata : ArchiveMetadata, optional
        Rescale and grid from a table beside the files; used where the file shows the need.

    Returns
    -------
    ReadVolume
        Voxels int16 HU with axes Inferior, Posterior, Left; and the notices.

    Raises
    ------
    UnreadableFile
        If the file is missing, empty, cut short, damaged or of another format.
    NotHounsfield
        If the numbers cannot be HU.
    SeriesChoiceNeeded
        If a folder holds several CT series.
    DataError
        If it is not one CT volume for another reason.
    """
    path = Path(path)
    scan = _read(path, series)
    if metadata is not None:
        scan = with_archive_metadata(scan, metadata, path=str(path))
    notices = scan.notices
    notices += check_hounsfield(scan.voxels, str(path), accept_suspicious=accept_suspicious)
    notices += replace_padding(scan.voxels, str(path))
    voxels, geometry = scan.voxels, scan.geometry
    lean = shear_degrees(geometry)
    if lean > _LEAST_SHEAR_DEGREES:
        voxels, geometry = without_shear(voxels, geometry)
        message = f"The gantry was tilted by {lean:.1f} degrees; slices were shifted upright."
        notices += (Notice(Severity.WARNING, "gantry-tilt", message, str(path)),)
    volume = Volume.from_stored(
        voxels,
        geometry,
        source_path=str(path),
        windows=scan.windows,
        metadata=scan.metadata,
    )
    if geometry is not scan.geometry:
        volume = replace(volume, source_geometry=scan.geometry)
    return ReadVolume(volume, notices)


def _read(path: Path, series: int | str | None) -> StoredScan:
    if path.is_dir():
        kind: FileFormat | None = FileFormat.DICOM
    else:
        kind = file_format(path)
    if kind is FileFormat.DICOM:
        from napari_ctclip.io.ct.dicom import read_dicom

        return read_dicom(path, series=series)
    if kind is FileFormat.NIFTI:
        from napari_ctclip.io.ct.nifti import read_nifti

        return read_nifti(path)
    if kind is None:
        raise UnreadableFile(
            f"{path} is none of the formats that are read (NIfTI, DICOM, NRRD, MetaImage), "
            "whatever its name says; convert it to .nii.gz"
        )
    from napari_ctclip.io.ct.simpleitk_formats import read_simpleitk

    return read_simpleitk(path, kind)


def shear_degrees(geometry: Geometry) -> float:
    """Return the largest deviation of two array axes from a right angle."""
    axes = geometry.affine[:3, :3] / np.asarray(geometry.spacing_mm)
    cosines = np.abs(axes.T @ axes - np.eye(3))
    return float(np.degrees(np.arcsin(np.clip(cosines.max(), 0.0, 1.0))))


def without_shear(
    voxels: npt.NDArray[np.int16], geometry: Geometry
) -> tuple[npt.NDArray[np.int16], Geometry]:
    """Return the scan on a grid with right angles that holds all of the old one.

    Slices keep their place and are shifted in their own plane by linear interpolation; what lies
    beside a slice becomes air.
    """
    axes = geometry.affine[:3, :3]
    unit = axes / np.asarray(geometry.spacing_mm)
    cosines = np.abs(unit.T @ unit - np.eye(3))
    stacking = int(np.argmax(cosines.sum(axis=0)))  # the axis that leans against both others
    first, second = (a for a in range(3) if a != stacking)
    plane = axes[:, [first, second]]
    # In-plane voxels that one step along the stack moves sideways.
    lean, *_ = np.linalg.lstsq(plane, axes[:, stacking], rcond=None)
    count = geometry.shape[stacking]
    shifts = np.outer(np.arange(count), lean)
    before = np.ceil(np.maximum(0.0, -shifts.min(axis=0)) - 1e-6).astype(int)
    after = np.ceil(np.maximum(0.0, shifts.max(axis=0)) - 1e-6).astype(int)
    shape = list(geometry.shape)
    shape[first] += int(before[0] + after[0])
    shape[second] += int(before[1] + after[1])
    upright = np.full(shape, AIR_HU, dtype=np.int16, order="F")
    source, target = np.moveaxis(voxels, stacking, 0), np.moveaxis(upright, stacking, 0)
    for index in range(count):
        target[index] = _shifted(source[index], shifts[index] + before, target[index].shape)
    affine = geometry.affine.copy()
    affine[:3, stacking] = axes[:, stacking] - plane @ lean
    affine[:3, 3] = geometry.affine[:3, 3] - plane @ before
    return upright, Geometry((shape[0], shape[1], shape[2]), affine)


def _shifted(
    image: npt.NDArray[np.int16], shift: npt.NDArray[np.float64], shape: tuple[int, ...]
) -> npt.NDArray[np.int16]:
    """Return ``image`` moved by ``shift`` pixels (>= 0) inside a larger frame of air."""
    whole = np.floor(shift + 1e-9).astype(int)
    part = np.clip(shift - whole, 0.0, 1.0)
    frame = np.full((shape[0] + 1, shape[1] + 1), AIR_HU, dtype=np.float32)
    mixed = np.full_like(frame, AIR_HU)
    frame[whole[0] : whole[0] + image.shape[0], whole[1] : whole[1] + image.shape[1]] = image
    mixed[1:] = frame[1:] * (1 - part[0]) + frame[:-1] * part[0]
    mixed[0] = frame[0] * (1 - part[0]) + AIR_HU * part[0]
    frame[:, 1:] = mixed[:, 1:] * (1 - part[1]) + mixed[:, :-1] * part[1]
    frame[:, 0] = mixed[:, 0] * (1 - part[1]) + AIR_HU * part[1]
    return np.rint(frame[: shape[0], : shape[1]]).astype(np.int16)

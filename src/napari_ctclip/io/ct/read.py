"""Any CT file or folder to a Volume in HU, checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from napari_ctclip.core.errors import UnreadableFile
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.core.volume import Volume
from napari_ctclip.io.ct.archive_metadata import ArchiveMetadata, with_archive_metadata
from napari_ctclip.io.ct.deoblique import shear_degrees, without_shear
from napari_ctclip.io.ct.file_format import FileFormat, file_format, holds_dicom
from napari_ctclip.io.ct.hounsfield import check_hounsfield, replace_padding
from napari_ctclip.io.ct.stored_scan import StoredScan

__all__ = ["ReadVolume", "can_read", "read_volume"]

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

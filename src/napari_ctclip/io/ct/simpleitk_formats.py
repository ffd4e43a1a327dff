"""NRRD and MetaImage files to stored scans, by SimpleITK."""

# mypy: allow-untyped-calls
# SimpleITK, nibabel and isal are typed in part only.
from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK

from napari_ctclip.core.errors import DataError, UnreadableFile
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.io.ct.file_format import FileFormat
from napari_ctclip.io.ct.hounsfield import Conversion
from napari_ctclip.io.ct.stored_scan import StoredScan

__all__ = ["image_geometry", "open_image", "read_simpleitk"]

_IMAGE_IO = {FileFormat.NRRD: "NrrdImageIO", FileFormat.META_IMAGE: "MetaImageIO"}
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_simpleitk(path: Path, kind: FileFormat) -> StoredScan:
    """Return the scan of a NRRD or MetaImage file.

    Raises
    ------
    UnreadableFile
        If it is cut short or damaged.
    DataError
        If it is not one 3D grey-value image.
    """
    reader = open_image(path, kind)
    notices = _about_orientation(reader, path, kind)
    if reader.GetDimension() != 3 or reader.GetNumberOfComponents() != 1:
        raise DataError(
            f"{path}: {reader.GetDimension()}D, {reader.GetNumberOfComponents()} values a voxel "
            f"(shape {reader.GetSize()}), expected one 3D volume with one HU value a voxel"
        )
    if min(reader.GetSize()) < 2:
        raise DataError(f"{path}: a single slice of shape {reader.GetSize()}, expected a 3D volume")
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise UnreadableFile(
            f"{path} is cut short or damaged ({_reason(error)}); copy the file again, with its "
            "data file if it has one"
        ) from error
    geometry = image_geometry(image)
    array = SimpleITK.GetArrayViewFromImage(image)  # (k, j, i)
    conversion = Conversion()
    voxels = np.empty(array.shape, dtype=np.int16)
    for index, plane in enumerate(array):
        voxels[index] = conversion.apply(plane) if conversion.changes(array.dtype) else plane
    notices += conversion.notices(voxels.size, str(path))
    return StoredScan(voxels.T, geometry, metadata={"format": str(kind)}, notices=notices)


def open_image(path: Path, kind: FileFormat) -> SimpleITK.ImageFileReader:
    """Return a reader that has read the header.

    Raises
    ------
    UnreadableFile
        If the header is damaged.
    """
    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO(_IMAGE_IO[kind])
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise UnreadableFile(f"{path}: the header cannot be read ({_reason(error)})") from error
    return reader


def image_geometry(image: SimpleITK.Image) -> Geometry:
    """Return the grid of an image in (i, j, k) order: SimpleITK's LPS turned to RAS."""
    affine = np.eye(4)
    direction = np.asarray(image.GetDirection()).reshape(3, 3)
    affine[:3, :3] = direction * np.asarray(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    i, j, k = image.GetSize()
    return Geometry((i, j, k), _LPS_TO_RAS @ affine)


def _about_orientation(
    reader: SimpleITK.ImageFileReader, path: Path, kind: FileFormat
) -> tuple[Notice, ...]:
    if kind is not FileFormat.NRRD or reader.HasMetaDataKey("NRRD_space"):
        return ()
    message = (
        "Patient left and right could not be determined (no 'space' in the file). Shown as "
        "stored; do not trust left and right."
    )
    return (Notice(Severity.WARNING, "no-orientation", message, str(path)),)


def _reason(error: RuntimeError) -> str:
    """Return the last line of an ITK error: the one that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no reason given"

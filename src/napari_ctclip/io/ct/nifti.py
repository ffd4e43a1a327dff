"""NIfTI files to stored scans: header by nibabel, voxels streamed straight into their place."""

# mypy: allow-untyped-calls
# SimpleITK, nibabel and isal are typed in part only.
from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import nibabel
import numpy as np
import numpy.typing as npt
from nibabel.spatialimages import HeaderDataError

from napari_ctclip.core.errors import DataError, GeometryMismatch, UnreadableFile
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.io.ct.file_format import GZIP_ERRORS, is_gzip, open_for_streaming, open_plain
from napari_ctclip.io.ct.hounsfield import Conversion
from napari_ctclip.io.ct.stored_scan import StoredScan

__all__ = [
    "NiftiHeader",
    "nifti_geometry",
    "nifti_shape",
    "read_nifti",
    "read_nifti_header",
    "stream_voxels",
]

NiftiHeader = Any  # nibabel.Nifti1Header or Nifti2Header; nibabel ships no complete types

_HEADER_ERRORS: tuple[type[Exception], ...] = (*GZIP_ERRORS, HeaderDataError, ValueError)
_BLOCK_VOXELS = 4_000_000
_MILLIMETRES = {"mm": 1.0, "meter": 1000.0, "micron": 0.001, "unknown": 1.0}
_DISAGREEMENT_MM = 1e-3
_PLAUSIBLE_MM = (0.02, 25.0)


def read_nifti(path: Path) -> StoredScan:
    """Return the scan of a .nii or .nii.gz file; int16 HU stay int16.

    Raises
    ------
    UnreadableFile
        If it is cut short or damaged.
    DataError
        If it is not one 3D grey-value image.
    """
    header = read_nifti_header(path)
    shape = nifti_shape(header, path)
    geometry, notices = nifti_geometry(header, shape, path)
    slope, intercept = _rescale(header)
    conversion = Conversion(slope=slope, intercept=intercept)
    voxels = stream_voxels(path, header, shape, conversion)
    notices += conversion.notices(voxels.size, str(path))
    if is_gzip(path) != path.name.lower().endswith(".gz"):
        kind = "compressed" if is_gzip(path) else "not compressed"
        notices += (
            Notice(
                Severity.INFO,
                "extension",
                f"The file is {kind}, its name says otherwise.",
                str(path),
            ),
        )
    return StoredScan(voxels, geometry, metadata={"format": "NIfTI"}, notices=notices)


def read_nifti_header(path: Path) -> NiftiHeader:
    """Return the header with its extensions.

    Raises
    ------
    UnreadableFile
        If there is none.
    """
    try:
        with open_plain(path) as file:
            size = file.read(4)
            file.seek(0)
            second = int.from_bytes(size, "little") == 540 or int.from_bytes(size, "big") == 540
            kind = nibabel.Nifti2Header if second else nibabel.Nifti1Header
            header = kind.from_fileobj(file)
    except _HEADER_ERRORS as error:
        raise UnreadableFile(
            f"{path}: the NIfTI header cannot be read ({error}); copy or convert the file again"
        ) from error
    if bytes(header["magic"])[:2] == b"ni":
        raise DataError(
            f"{path}: NIfTI in two files (.hdr and .img) is not read; save it as .nii.gz"
        )
    return header


def stream_voxels(
    path: Path, header: NiftiHeader, shape: tuple[int, int, int], conversion: Conversion
) -> npt.NDArray[np.int16]:
    """Return all voxels (i, j, k), first axis fastest, converted block by block.

    Raises
    ------
    UnreadableFile
        If the file ends early or its compression is damaged.
    """
    count = int(np.prod(shape))
    flat = np.empty(count, dtype=np.int16)
    stored: np.dtype[np.generic] = header.get_data_dtype()
    direct = not conversion.changes(stored) and stored.isnative
    block = np.empty(0 if direct else min(_BLOCK_VOXELS, count), dtype=stored)
    try:
        with open_for_streaming(path) as file:
            _skip(file, int(header["vox_offset"]))
            for start in range(0, count, _BLOCK_VOXELS):
                stop = min(count, start + _BLOCK_VOXELS)
                target = flat[start:stop] if direct else block[: stop - start]
                got = _fill(file, target)
                if got < target.nbytes:
                    read, due = start * stored.itemsize + got, count * stored.itemsize
                    raise EOFError(f"{read} of {due} bytes of voxels")
                if not direct:
                    flat[start:stop] = conversion.apply(target)
            _check_end(file)
    except GZIP_ERRORS as error:
        raise UnreadableFile(
            f"{path} is cut short or damaged ({error}); copy the file again"
        ) from error
    return flat.reshape(shape, order="F")


def nifti_geometry(
    header: NiftiHeader, shape: tuple[int, int, int], path: Path
) -> tuple[Geometry, tuple[Notice, ...]]:
    """Return where the grid lies, by nibabel's rule: sform if its code is above 0, else qform.

    Raises
    ------
    DataError
        If the affine is not one.
    """
    notices: list[Notice] = []

    def warn(code: str, message: str) -> None:
        notices.append(Notice(Severity.WARNING, code, message, str(path)))

    sform_code, qform_code = int(header["sform_code"]), int(header["qform_code"])
    if sform_code == 0 and qform_code == 0:
        warn(
            "no-orientation",
            "Patient left and right could not be determined (no orientation in the file). "
            "Shown as stored; do not trust left and right.",
        )
    try:
        affine = np.asarray(header.get_best_affine(), dtype=np.float64)
        disagreement = 0.0
        if sform_code > 0 and qform_code > 0:
            disagreement = float(np.abs(header.get_sform() - header.get_qform()).max())
    except (ValueError, HeaderDataError) as error:
        raise DataError(f"{path}: the orientation in the header is damaged ({error})") from error
    if disagreement > _DISAGREEMENT_MM:
        warn(
            "sform-qform-disagree",
            f"The file's two orientations (sform, qform) differ by up to {disagreement:.3g}; "
            "the sform was used.",
        )
    unit = header.get_xyzt_units()[0]
    if unit not in ("mm", "unknown"):
        affine[:3] *= _MILLIMETRES[unit]
        warn("units", f"Lengths in the file are in {unit}; converted to mm.")
    try:
        geometry = Geometry(shape, affine)
    except GeometryMismatch as error:
        raise DataError(f"{path}: {error}; fix the sform or convert from DICOM again") from error
    if not all(_PLAUSIBLE_MM[0] <= s <= _PLAUSIBLE_MM[1] for s in geometry.spacing_mm):
        spacing = " x ".join(f"{s:.4g}" for s in geometry.spacing_mm)
        warn("spacing", f"A voxel of {spacing} mm is no CT's; are the header's units mm?")
    return geometry, tuple(notices)


def nifti_shape(header: NiftiHeader, path: Path) -> tuple[int, int, int]:
    dtype = header.get_data_dtype()
    if dtype.fields is not None:
        raise DataError(f"{path}: a colour image (RGB), expected one grey value a voxel in HU")
    if dtype.kind not in "iuf":
        raise DataError(f"{path}: voxels of type {dtype}, expected whole or real numbers in HU")
    shape = [int(n) for n in header.get_data_shape()]
    stored = tuple(shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    if len(shape) > 3:
        raise DataError(
            f"{path}: a {len(shape)}D image of shape {stored}, expected one 3D volume; "
            "save the volume you want as its own file"
        )
    if len(shape) < 3 or min(shape) < 2:
        raise DataError(
            f"{path}: a single slice or 2D image of shape {stored}, expected a 3D volume"
        )
    return shape[0], shape[1], shape[2]


def _rescale(header: NiftiHeader) -> tuple[float, float]:
    slope, intercept = header.get_slope_inter()  # (None, None) where the header says "as stored"
    return (1.0 if slope is None else float(slope)), (
        0.0 if intercept is None else float(intercept)
    )


def _skip(file: BinaryIO, count: int) -> None:
    if len(file.read(count)) < count:
        raise EOFError("the file ends inside its header")


def _fill(file: BinaryIO, target: npt.NDArray[np.generic]) -> int:
    """Read into ``target`` until it is full or the file ends; return the bytes read."""
    view = target.view(np.uint8).data
    done = 0
    while done < len(view):
        got = file.readinto(view[done:])  # type: ignore[attr-defined]
        if not got:
            break
        done += got
    return done


def _check_end(file: BinaryIO) -> None:
    """Read on, so that a gzip stream's checksum is looked at."""
    while file.read(1 << 20):
        pass

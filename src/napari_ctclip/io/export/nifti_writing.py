"""NIfTI files written slice by slice and put in place whole or not at all."""

# mypy: allow-untyped-calls
# SimpleITK, nibabel and isal are typed in part only.
from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt
from isal import igzip_threaded

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.io.files import replacing

__all__ = ["write_nifti_slices"]

_SCANNER = 1
_COMPRESSION = 2  # isal's scale runs to 3; 2 is within 5 % of its size at half its time
_RIGHT_ANGLE = 1e-4


def write_nifti_slices(
    slices: Iterable[npt.NDArray[np.generic]],
    geometry: Geometry,
    path: Path,
    *,
    dtype: npt.DTypeLike,
    description: str,
) -> None:
    """Write slices (i, j), one for each k, as .nii or .nii.gz.

    Raises
    ------
    DataError
        If the name ends otherwise.
    """
    name = path.name.lower()
    if not name.endswith((".nii", ".nii.gz")):
        raise DataError(f"{path}: expected a name ending in .nii.gz or .nii")
    header = _header(geometry, np.dtype(dtype), description)
    with replacing(path) as partial:
        if name.endswith(".gz"):
            file = igzip_threaded.open(partial, "wb", compresslevel=_COMPRESSION, threads=1)
        else:
            file = partial.open("wb")
        with file:
            file.write(header)
            for plane in slices:
                file.write(np.asarray(plane, dtype=dtype).tobytes(order="F"))


def _header(geometry: Geometry, dtype: np.dtype[np.generic], description: str) -> bytes:
    header = nibabel.Nifti1Header()
    header.set_data_shape(geometry.shape)
    header.set_data_dtype(dtype)
    header.set_xyzt_units("mm")
    header.set_sform(geometry.affine, code=_SCANNER)
    axes = geometry.affine[:3, :3] / np.asarray(geometry.spacing_mm)
    if np.abs(axes.T @ axes - np.eye(3)).max() < _RIGHT_ANGLE:  # a qform cannot hold shear
        header.set_qform(geometry.affine, code=_SCANNER)
    header["magic"] = b"n+1"
    header["vox_offset"] = 352
    header["descrip"] = description.encode("ascii", "replace")[:79]
    return bytes(header.binaryblock) + b"\0\0\0\0"

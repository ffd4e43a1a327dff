"""Small scans written in every format, right and wrong, for the reader's tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from napari_ctclip.core.geometry import Geometry

SHAPE = (20, 28, 24)  # i, j, k
SPACING_MM = (1.5, 1.25, 2.5)


def torso(shape: Sequence[int] = SHAPE, *, seed: int = 0) -> npt.NDArray[np.int16]:
    """Return HU (i, j, k) of an ellipse of soft tissue with two lungs and a spine, in noisy air."""
    rng = np.random.default_rng(seed)
    i, j, k = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    hu = np.full(shape, -1000.0)
    hu[i**2 + j**2 < 0.8] = 40
    for side in (-0.4, 0.4):
        hu[((i - side) / 0.25) ** 2 + (j / 0.5) ** 2 + (k / 2) ** 2 < 1] = -850
    hu[i**2 + (j - 0.7) ** 2 < 0.02] = 500
    noise = rng.integers(-20, 20, shape)
    return np.maximum(hu + noise, -1024).astype(np.int16)


def affine(codes: str = "RAS", spacing_mm: Sequence[float] = SPACING_MM) -> Any:
    """Return a NIfTI affine with the given axis code and some origin."""
    geometry = Geometry.from_spacing(
        (2, 2, 2), spacing_mm, origin_ras=(-13.0, 7.5, 101.25), codes=codes
    )
    return geometry.affine.copy()


def write_nifti(
    path: Path,
    voxels: npt.NDArray[Any],
    matrix: Any = None,
    *,
    sform_code: int = 1,
    qform_code: int = 1,
    rescale: tuple[float, float] | None = None,
) -> Path:
    """Write any array as NIfTI; ``rescale`` goes into the header and leaves the numbers alone."""
    matrix = affine() if matrix is None else matrix
    image = nibabel.Nifti1Image(voxels, matrix)
    image.header.set_sform(matrix, sform_code)
    image.header.set_qform(matrix, qform_code)
    image.header.set_xyzt_units("mm")
    if rescale is not None:
        image.header.set_slope_inter(*rescale)
    image.to_filename(path)
    if sform_code == qform_code == 0:  # nibabel would rather write one
        assert path.suffix == ".nii"
        from_disk = bytearray(path.read_bytes())
        from_disk[252:256] = b"\0" * 4
        path.write_bytes(from_disk)
    if rescale is not None:  # nibabel recomputes the rescale while writing: put ours back
        from_disk = bytearray(path.read_bytes())
        assert path.suffix == ".nii"
        from_disk[112:120] = np.asarray(rescale, dtype="<f4").tobytes()
        path.write_bytes(from_disk)
    return path


def write_dicom_series(
    folder: Path,
    hu: npt.NDArray[np.int16],
    *,
    positions: npt.NDArray[np.float64] | None = None,
    orientation: Sequence[float] = (1, 0, 0, 0, 1, 0),
    series_uid: str = "",
    prefix: str = "slice",
    **changes: Any,
) -> Path:
    """Write HU (k, j, i) as uncompressed CT slices, in a shuffled order of file names.

    ``changes`` are DICOM keywords set on every slice; None deletes one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count, rows, columns = hu.shape
    if positions is None:
        positions = np.array([(-20.0, -30.0, 100.0 + 2.5 * k) for k in range(count)])
    uid = series_uid or generate_uid()
    names = np.random.default_rng(1).permutation(count)
    for k in range(count):
        dataset = _slice(hu[k], uid)
        dataset.ImagePositionPatient = [float(p) for p in positions[k]]
        dataset.ImageOrientationPatient = [float(c) for c in orientation]
        dataset.InstanceNumber = k + 1
        dataset.Rows, dataset.Columns = rows, columns
        for keyword, value in changes.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)
        dataset.save_as(folder / f"{prefix}{names[k]:03d}.dcm", enforce_file_format=True)
    return folder


def _slice(hu: npt.NDArray[np.int16], series_uid: str) -> pydicom.Dataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = series_uid, "1.2.3"
    dataset.PatientName, dataset.PatientID, dataset.StudyDate = "Doe^Jane", "4711", "20200101"
    dataset.Modality, dataset.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SeriesNumber, dataset.SeriesDescription = 3, "Thorax lung"
    dataset.ConvolutionKernel, dataset.SliceThickness = "B70f", 2.5
    dataset.AcquisitionNumber = 1
    dataset.PixelSpacing = [1.25, 1.5]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = 1
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    dataset.WindowCenter, dataset.WindowWidth = [-600, 40], [1500, 400]
    dataset.WindowCenterWidthExplanation = ["LUNG", "MEDIASTINUM"]
    dataset.PixelData = (hu.astype(np.int32) + 1024).astype("<i2").tobytes()
    return dataset

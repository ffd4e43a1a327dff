"""Write a study as an ordinary axial CT series."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from napari_ctclip.core.study import Study

__all__ = ["write_dicom_series"]

_INTERCEPT_HU = -1024


def write_dicom_series(study: Study, folder: Path | str) -> tuple[Path, ...]:
    """Write one file a slice and return their paths, from superior to inferior.

    Parameters
    ----------
    study : Study
        Its volume is stored; masks and report are not.
    folder : Path or str
        Made if missing.

    Notes
    -----
    UIDs follow from the study's name, so the same study gives the same series. CT numbers below
    -1024 HU, as in padding, are stored as -1024.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    header = _series_header(study)
    stored = np.maximum(study.volume.voxels, _INTERCEPT_HU).astype(np.int32) - _INTERCEPT_HU
    paths = []
    for index, pixels in enumerate(stored):
        instance = _slice(header, study, index, pixels.astype(np.uint16))
        path = folder / f"slice_{index:04d}.dcm"
        instance.save_as(path, enforce_file_format=True)
        paths.append(path)
    return tuple(paths)


def _series_header(study: Study) -> Dataset:
    """Return the elements that all slices share."""
    name = study.study_id or "simulated"
    dz, dy, dx = study.volume.geometry.spacing_mm
    header = Dataset()
    header.SOPClassUID = CTImageStorage
    header.Modality = "CT"
    header.Manufacturer = "napari-ctclip simulation"
    header.PatientName = "Simulated^Study"
    header.PatientID = name
    header.PatientBirthDate = ""
    header.PatientSex = "O"
    header.StudyInstanceUID = generate_uid(entropy_srcs=[name, "study"])
    header.SeriesInstanceUID = generate_uid(entropy_srcs=[name, "series"])
    header.FrameOfReferenceUID = generate_uid(entropy_srcs=[name, "frame"])
    header.StudyID = "1"
    header.SeriesNumber = 1
    header.AccessionNumber = ""
    header.ReferringPhysicianName = ""
    header.StudyDate = "20000101"
    header.StudyTime = "000000"
    header.StudyDescription = "Simulated chest CT"
    header.SeriesDescription = "Simulated chest CT, axial"
    header.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    header.PatientPosition = "HFS"
    header.PositionReferenceIndicator = ""
    header.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    header.PixelSpacing = [_decimal(dy), _decimal(dx)]
    header.SliceThickness = _decimal(dz)
    header.SpacingBetweenSlices = _decimal(dz)
    header.RescaleSlope = 1
    header.RescaleIntercept = _INTERCEPT_HU
    header.RescaleType = "HU"
    header.WindowCenter = [-600, 40]
    header.WindowWidth = [1500, 400]
    header.WindowCenterWidthExplanation = ["Lung", "Mediastinum"]
    header.SamplesPerPixel = 1
    header.PhotometricInterpretation = "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 16, 15
    header.PixelRepresentation = 0
    header.KVP = "120"
    return header


def _slice(header: Dataset, study: Study, index: int, pixels: npt.NDArray[np.uint16]) -> Dataset:
    """Return one slice; DICOM's patient axes point Left, Posterior, Superior."""
    right, anterior, superior = study.volume.geometry.index_to_world((index, 0, 0)).tolist()
    instance = Dataset()
    instance.update(header)
    instance.SOPInstanceUID = generate_uid(entropy_srcs=[study.study_id, str(index)])
    instance.InstanceNumber = index + 1
    instance.ImagePositionPatient = [_decimal(-right), _decimal(-anterior), _decimal(superior)]
    instance.SliceLocation = _decimal(superior)
    instance.Rows, instance.Columns = pixels.shape
    instance.PixelData = pixels.astype("<u2").tobytes()
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    instance.file_meta = meta
    return instance


def _decimal(value: float) -> str:
    """Return a DICOM decimal string: at most 16 characters."""
    return f"{value:.6f}"

"""DICOM segmentation objects (SEG) to label maps, by highdicom."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom

from napari_ctclip.core.errors import DataError, UnreadableFile
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.io.ct.file_format import dicom_files
from napari_ctclip.io.masks.label_map import LabelMap, anatomy_name

__all__ = ["read_dicom_seg"]

_SEGMENTATION_CLASSES = {"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"}
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_dicom_seg(path: Path) -> LabelMap:
    """Return the label map of a DICOM SEG file, or of the only one in a folder.

    Raises
    ------
    DataError
        If it is another DICOM object, or its frames make no volume.
    """
    from highdicom.seg import Segmentation

    file = _only_segmentation(path) if path.is_dir() else path
    try:
        dataset = pydicom.dcmread(file, force=True)
    except (pydicom.errors.InvalidDicomError, EOFError, OSError) as error:
        raise UnreadableFile(f"{file} is cut short or damaged ({error})") from error
    if str(dataset.get("SOPClassUID", "")) not in _SEGMENTATION_CLASSES:
        raise DataError(
            f"{file}: modality {dataset.get('Modality', 'unknown')}, expected a DICOM SEG object "
            "(modality SEG)"
        )
    try:
        segmentation = Segmentation.from_dataset(dataset, copy=False)
        names = {
            number: anatomy_name(str(segmentation.get_segment_description(number).segment_label))
            for number in segmentation.segment_numbers
        }
        volume = segmentation.get_volume(combine_segments=True, skip_overlap_checks=True)
    except (ValueError, RuntimeError, AttributeError, KeyError, TypeError) as error:
        raise DataError(f"{file}: the DICOM SEG cannot be made a label map ({error})") from error
    labels = np.asarray(volume.array).astype(np.int16)
    i, j, k = labels.shape
    geometry = Geometry((i, j, k), _LPS_TO_RAS @ np.asarray(volume.affine))
    return LabelMap(labels, geometry, names, _about_overlap(segmentation, file))


def _only_segmentation(folder: Path) -> Path:
    found = [
        file
        for file in dicom_files(folder)
        if str(pydicom.dcmread(file, specific_tags=["SOPClassUID"], force=True).get("SOPClassUID"))
        in _SEGMENTATION_CLASSES
    ]
    if len(found) != 1:
        raise DataError(
            f"{folder} holds {len(found)} DICOM SEG objects, expected one; give the file"
        )
    return found[0]


def _about_overlap(segmentation: pydicom.Dataset, file: Path) -> tuple[Notice, ...]:
    if str(segmentation.get("SegmentsOverlap", "")) != "YES":
        return ()
    message = "Segments overlap; the segment of the higher number was kept where they do."
    return (Notice(Severity.WARNING, "overlapping-segments", message, str(file)),)

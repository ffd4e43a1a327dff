"""Label maps as their files store them, DICOM SEG too: numbers, grid, the names the file gives."""

# mypy: allow-untyped-calls
# SimpleITK, nibabel and isal are typed in part only.
from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import pydicom
import SimpleITK

from napari_ctclip.core.anatomy import one_word
from napari_ctclip.core.errors import DataError, UnreadableFile
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.io.ct.file_format import FileFormat, dicom_files, file_format
from napari_ctclip.io.ct.hounsfield import Conversion
from napari_ctclip.io.ct.nifti import (
    NiftiHeader,
    nifti_geometry,
    nifti_shape,
    read_nifti_header,
    stream_voxels,
)
from napari_ctclip.io.ct.simpleitk_formats import image_geometry, open_image

__all__ = [
    "LabelMap",
    "anatomy_name",
    "read_dicom_seg",
    "read_label_map",
]

_PLACEHOLDER = re.compile(r"^(L|label|segment)[_ ]?\d+$", re.IGNORECASE)


_SEGMENTATION_CLASSES = {"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"}
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class LabelMap:
    """A label map in the axis order of its file.

    Attributes
    ----------
    labels : ndarray, 3D, int16
        Not negative.
    geometry : Geometry
        The grid of ``labels``.
    names : mapping of int to str
        Names that the file itself carries; empty if it carries none.
    notices : tuple of Notice
        What was odd.
    """

    labels: npt.NDArray[np.int16]
    geometry: Geometry
    names: Mapping[int, str] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()


def read_label_map(path: Path) -> LabelMap:
    """Return the label map in a NIfTI, NRRD or MetaImage file, or in a DICOM SEG object.

    Raises
    ------
    UnreadableFile
        If the file is missing, cut short, damaged or of another format.
    DataError
        If it holds no whole, non-negative labels.
    """
    kind = FileFormat.DICOM if path.is_dir() else file_format(path)
    if kind is FileFormat.NIFTI:
        return _nifti(path)
    if kind in (FileFormat.NRRD, FileFormat.META_IMAGE):
        assert kind is not None
        return _simpleitk(path, kind)
    if kind is FileFormat.DICOM:
        return read_dicom_seg(path)
    raise UnreadableFile(
        f"{path} is no label map that is read (NIfTI, NRRD, MetaImage, DICOM SEG); convert it to "
        ".nii.gz"
    )


def anatomy_name(text: str) -> str:
    """Return a segment's name as this package writes names: ``"Right lung"`` -> ``lung_right``."""
    words = one_word(text)
    if not re.search(r"_[CTLS]\d+$", words):  # vertebrae keep their capital
        words = words.lower()
    for side in ("left", "right"):
        if words.startswith(f"{side}_"):
            words = f"{words.removeprefix(f'{side}_')}_{side}"
    return words


def _nifti(path: Path) -> LabelMap:
    header = read_nifti_header(path)
    shape = nifti_shape(header, path)
    geometry, notices = nifti_geometry(header, shape, path)
    slope, intercept = header.get_slope_inter()
    conversion = Conversion(
        slope=1.0 if slope is None else float(slope),
        intercept=0.0 if intercept is None else float(intercept),
        count_fractions=True,
    )
    labels = stream_voxels(path, header, shape, conversion)
    _refuse_other_numbers(labels, conversion, path)
    return LabelMap(labels, geometry, _caret_names(header), notices)


def _caret_names(header: NiftiHeader) -> dict[int, str]:
    """Return the label table TotalSegmentator puts into the header's extension (Caret XML)."""
    for extension in header.extensions:
        content = extension.get_content()
        text = content.decode("utf-8", "replace") if isinstance(content, bytes) else str(content)
        if "<CaretExtension" not in text:
            continue
        try:
            root = ElementTree.fromstring(text.strip("\0 \n"))
        except ElementTree.ParseError:
            continue
        names = {
            int(label.get("Key", "0")): (label.text or "").strip() for label in root.iter("Label")
        }
        return _spoken(names)
    return {}


def _simpleitk(path: Path, kind: FileFormat) -> LabelMap:
    reader = open_image(path, kind)
    if reader.GetDimension() != 3:
        raise DataError(f"{path}: a {reader.GetDimension()}D image, expected a 3D label map")
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise UnreadableFile(f"{path} is cut short or damaged; copy the file again") from error
    geometry = image_geometry(image)
    layers = SimpleITK.GetArrayViewFromImage(image)
    if image.GetNumberOfComponentsPerPixel() == 1:
        layers = layers[..., None]
    conversion = Conversion(count_fractions=True)
    labels = np.stack([conversion.apply(layers[..., n]) for n in range(layers.shape[-1])])
    _refuse_other_numbers(labels, conversion, path)
    names, notices = _slicer_segments(reader, labels, path)
    return LabelMap(labels[0].T, geometry, names, notices)


def _slicer_segments(
    reader: SimpleITK.ImageFileReader, layers: npt.NDArray[np.int16], path: Path
) -> tuple[dict[int, str], tuple[Notice, ...]]:
    """Return the names 3D Slicer wrote; segments of further layers join layer 0, renumbered."""
    values = {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}
    names: dict[int, str] = {}
    overlapping = 0
    free = int(layers.max()) + 1
    for number in range(len(values)):
        name = values.get(f"Segment{number}_Name")
        if name is None:
            break
        label = int(values.get(f"Segment{number}_LabelValue", number + 1))
        layer = int(values.get(f"Segment{number}_Layer", 0))
        if layer > 0:
            inside = layers[layer] == label
            overlapping += int((inside & (layers[0] > 0)).sum())
            label, free = free, free + 1
            layers[0][inside] = label
        names[label] = name
    if len(layers) > 1 and not names:
        raise DataError(f"{path}: {len(layers)} values a voxel, expected one label a voxel")
    notices: tuple[Notice, ...] = ()
    if overlapping:
        message = f"Segments overlap in {overlapping} voxels; the later segment was kept there."
        notices = (Notice(Severity.WARNING, "overlapping-segments", message, str(path)),)
    return _spoken(names), notices


def _spoken(names: Mapping[int, str]) -> dict[int, str]:
    """Return the names in our spelling, without background and placeholders such as "L3"."""
    return {
        label: anatomy_name(name)
        for label, name in names.items()
        if label > 0 and name and not _PLACEHOLDER.match(name)
    }


def _refuse_other_numbers(
    labels: npt.NDArray[np.int16], conversion: Conversion, path: Path
) -> None:
    if conversion.fractions or conversion.not_finite:
        raise DataError(
            f"{path}: numbers with fractions (a probability map or an image?), expected whole "
            "labels; give the label map"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or conversion.clipped:
        raise DataError(
            f"{path}: labels from {low} to {high}, expected whole numbers from 0 to 32767; is this "
            "the CT itself? Give its label map"
        )
    if high == 0:
        raise DataError(f"{path}: every voxel is 0, so no organ is marked; check the segmentation")


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

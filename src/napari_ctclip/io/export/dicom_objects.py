"""Findings, organ masks and heatmaps as DICOM SEG and Parametric Map, by highdicom."""

# mypy: allow-untyped-calls
# highdicom is typed in part only.
from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.finding import Finding, FindingOrigin
from napari_ctclip.core.geometry import INTERNAL_AXES
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.core.volume import Volume
from napari_ctclip.io.ct.dicom_source import DicomSource, dicom_grid, lps_affine
from napari_ctclip.io.files import replacing
from napari_ctclip.io.masks.segment_descriptions import (
    finding_segment,
    organ_segment,
    plain_text,
    short_text,
)

__all__ = [
    "UNKNOWN_SIMILARITY",
    "write_findings_seg",
    "write_organs_seg",
    "write_parametric_map",
]

UNKNOWN_SIMILARITY = -10.0
"""Float Pixel Padding Value of a Parametric Map: a difference of cosines lies within -2 and 2."""

_MAKER = "napari-ctclip"
_RESEARCH = "Research use only"
_SERIES_OFFSET = 9000  # added to the CT's number, so that a viewer lists ours after it
_PRIVATE_SCHEME = "99CTCLIP"


@contextmanager
def _silence() -> Iterator[None]:
    """Keep highdicom's and pydicom's warnings to ourselves: some quote the patient's name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@_silence()
def write_findings_seg(
    findings: Sequence[Finding], volume: Volume, source: DicomSource, path: Path
) -> Path:
    """Write the regions of findings as a DICOM SEG, a segment each; they may overlap.

    Raises
    ------
    DataError
        If no finding has a region.
    """
    regions = [(finding, finding.region) for finding in findings if finding.region is not None]
    if not regions:
        raise DataError("no finding has a region: make one from a heatmap, then export the SEG")
    # only the slices that hold a region: a mask a finding of a whole thin-slice scan fills memory
    low = min(region.start[0] for _, region in regions)
    high = max(region.box[0].stop for _, region in regions)
    _, height, width = volume.geometry.shape
    masks = np.zeros((len(regions), high - low, height, width), dtype=np.uint8)
    for mask, (_, region) in zip(masks, regions, strict=True):
        z, y, x = region.box
        mask[z.start - low : z.stop - low, y, x] = region.mask
    overlap = bool((masks.sum(axis=0, dtype=np.uint8) > 1).any())
    numbers = np.arange(1, len(regions) + 1, dtype=np.uint8)
    labels = masks if overlap else (masks * numbers[:, None, None, None]).max(axis=0)[None]
    described = [finding_segment(n, f) for n, (f, _) in enumerate(regions, start=1)]
    pixels = _seg_volume(labels, volume, source, first_slice=low, is_layered=overlap)
    return _write_seg(pixels, described, source, path, title="CT-CLIP findings")


@_silence()
def write_organs_seg(masks: OrganMasks, volume: Volume, source: DicomSource, path: Path) -> Path:
    """Write organ masks as a DICOM SEG, a segment an organ that has voxels."""
    present = {int(n) for n in np.unique(masks.labels)} - {0}
    organs = [
        (name, label)
        for name, label in sorted(masks.legend.items(), key=lambda entry: entry[1])
        if label in present
    ]
    if not organs:
        raise DataError("the organ masks are empty: make or load masks, then export the SEG")
    renumber = np.zeros(max(present) + 1, dtype=np.uint16)
    for number, (_, label) in enumerate(organs, start=1):
        renumber[label] = number
    labels = renumber[masks.labels]
    described = [organ_segment(n, name, masks) for n, (name, _) in enumerate(organs, start=1)]
    pixels = _seg_volume(labels[None], volume, source, first_slice=0, is_layered=False)
    return _write_seg(pixels, described, source, path, title="CT-CLIP organs")


@_silence()
def write_parametric_map(
    similarity_map: SimilarityMap, source: DicomSource, path: Path, *, origin: FindingOrigin
) -> Path:
    """Write a similarity map as a DICOM Parametric Map of 32-bit floats on its own token grid.

    Real-world values are the stored ones: similarity, without unit. Points the map knows nothing
    about hold ``UNKNOWN_SIMILARITY``, named as padding.
    """
    import highdicom

    transform = similarity_map.geometry.transform_to(INTERNAL_AXES)
    values = np.ascontiguousarray(transform.apply(similarity_map.values), dtype=np.float32)
    known = values[np.isfinite(values)]
    if not known.size:
        raise DataError(f"the heatmap of “{similarity_map.prompt.positive}” is empty")
    low, high = float(known.min()), float(known.max())
    prompt = similarity_map.prompt
    mapping = highdicom.pm.RealWorldValueMapping(
        lut_label="SIMILARITY",
        lut_explanation=short_text(f"Similarity to: {prompt.positive}"),
        unit=codes.UCUM.NoUnits,
        value_range=(low if known.size == values.size else UNKNOWN_SIMILARITY, high),
        slope=1.0,
        intercept=0.0,
        quantity_definition=_similarity_quantity(),
    )
    grid = similarity_map.geometry.reoriented(transform)
    window = highdicom.VOILUTTransformation(
        window_center=(low + high) / 2, window_width=max(high - low, 1e-3)
    )
    created = highdicom.pm.ParametricMap(
        list(source.headers),
        _placed(np.nan_to_num(values, nan=UNKNOWN_SIMILARITY), lps_affine(grid), source),
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        voi_lut_transformations=[window],
        content_label="SIMILARITY",
        content_description=short_text(f"{_RESEARCH}. Model {origin.model}"),
        **_identity(source),
    )
    created.FloatPixelPaddingValue = UNKNOWN_SIMILARITY
    _order_frames_along_normal(created)
    # readers built on DCMTK (dcmqi, 3D Slicer) need the anatomy of the frames
    created.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [_frame_anatomy(source)]
    created.SeriesDescription = short_text(f"CT-CLIP similarity: {prompt.positive}")
    created.ImageComments = plain_text(
        f"{_RESEARCH}. Similarity (difference of cosines) of each place to '{prompt.positive}', "
        f"held against '{prompt.negative}', worded {origin.ensemble}; relative to this scan, "
        "no probability of disease. "
        f"Model {origin.model}, weights {origin.weights_sha256[:16]}."
    )
    return _save(created, path)


# --- inside ---------------------------------------------------------------------------------------


def _seg_volume(
    labels: npt.NDArray[Any],
    volume: Volume,
    source: DicomSource,
    *,
    first_slice: int,
    is_layered: bool,
) -> Any:
    """Return masks (S, D, H, W) or one label map (1, D, H, W), on the frames' grid."""
    grid = dicom_grid(volume)
    start = (first_slice, 0, 0)
    stop = tuple(a + n for a, n in zip(start, labels.shape[1:], strict=True))
    placed = volume.geometry.cropped(start, stop).reoriented(grid.from_internal)
    turned = np.stack([grid.from_internal.apply(mask) for mask in labels], axis=-1)
    affine = lps_affine(placed)
    if is_layered:
        return _placed(turned, affine, source, segments=list(range(1, len(labels) + 1)))
    return _placed(turned[..., 0], affine, source)


def _placed(
    array: npt.NDArray[Any],
    affine_lps: npt.NDArray[np.float64],
    source: DicomSource,
    *,
    segments: list[int] | None = None,
) -> Any:
    import highdicom

    return highdicom.Volume(
        np.ascontiguousarray(array),
        affine_lps,
        coordinate_system="PATIENT",
        frame_of_reference_uid=source.frame_of_reference,
        channels=None if segments is None else {"SegmentNumber": segments},
    )


def _write_seg(
    pixels: Any, described: list[Any], source: DicomSource, path: Path, *, title: str
) -> Path:
    import highdicom

    created = highdicom.seg.Segmentation(
        list(source.headers),
        pixels,
        # bit planes: every viewer reads them, a label map object (2024) hardly any yet
        highdicom.seg.SegmentationTypeValues.BINARY,
        described,
        content_label="SEGMENTATION",
        content_description=short_text(f"{_RESEARCH}. {title}"),
        **_identity(source),
    )
    created.SeriesDescription = title
    return _save(created, path)


def _identity(source: DicomSource) -> dict[str, Any]:
    return {
        "series_instance_uid": generate_uid(),
        "series_number": _SERIES_OFFSET + source.series_number,
        "sop_instance_uid": generate_uid(),
        "instance_number": 1,
        "manufacturer": _MAKER,
        "manufacturer_model_name": _MAKER,
        "software_versions": version("napari-ctclip"),
        "device_serial_number": "none",
        "content_creator_name": f"{_MAKER}^",
    }


def _similarity_quantity() -> Any:
    import highdicom

    return highdicom.sr.CodedConcept(
        "similarity", _PRIVATE_SCHEME, "Image-text similarity, difference of cosines"
    )


def _order_frames_along_normal(created: Dataset) -> None:
    """Put frames in the order of the cross product of rows and columns.

    DICOM allows any order, and highdicom writes the other one. dcmqi 1.5, which 3D Slicer reads
    maps with, takes this one for granted whatever the frames say: it would show the map upside
    down.
    """
    frames = created.PerFrameFunctionalGroupsSequence
    plane = created.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    along = np.asarray(plane.ImageOrientationPatient, dtype=float)
    normal = np.cross(along[:3], along[3:])
    places = [np.asarray(f.PlanePositionSequence[0].ImagePositionPatient, float) for f in frames]
    if (places[-1] - places[0]) @ normal >= 0:
        return
    created.PerFrameFunctionalGroupsSequence = list(reversed(list(frames)))
    stored = np.frombuffer(created.FloatPixelData, dtype="<f4").reshape(len(places), -1)
    created.FloatPixelData = np.ascontiguousarray(stored[::-1]).tobytes()


def _frame_anatomy(source: DicomSource) -> Dataset:
    import highdicom

    examined = str(source.headers[0].get("BodyPartExamined", "")).upper()
    chest = examined in ("CHEST", "THORAX", "LUNG")
    region = Dataset()
    region.FrameLaterality = "U"
    code = codes.SCT.Thorax if chest else codes.SCT.BodyStructure
    region.AnatomicRegionSequence = [highdicom.sr.CodedConcept.from_code(code)]
    return region


def _save(created: Any, path: Path) -> Path:
    with replacing(path) as partial:
        created.save_as(partial)
    return path

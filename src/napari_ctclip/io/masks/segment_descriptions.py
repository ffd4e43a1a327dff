"""Descriptions of DICOM segments, and texts as DICOM takes them."""

# mypy: allow-untyped-calls
# highdicom is typed in part only.
from __future__ import annotations

from importlib.metadata import version
from typing import Any

from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from napari_ctclip.core.anatomy import anatomy_label, colour_of
from napari_ctclip.core.finding import Finding
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.io.masks.segment_codes import finding_code, laterality_code, organ_code

__all__ = ["finding_segment", "organ_segment", "plain_text", "short_text"]

_LABEL_LENGTH = 64


def finding_segment(number: int, finding: Finding) -> Any:
    """Return the description of a finding's segment."""
    import highdicom

    origin = finding.origin
    kinds = highdicom.seg.SegmentAlgorithmTypeValues
    segment = highdicom.seg.SegmentDescription(
        number,
        short_text(finding.name),
        codes.SCT.MorphologicallyAbnormalStructure,
        finding_code(finding.name if finding.prompt is None else finding.prompt.positive),
        kinds.SEMIAUTOMATIC if origin.model else kinds.MANUAL,
        _algorithm(origin.model, origin.weights_sha256[:16]) if origin.model else None,
        tracking_uid=generate_uid(entropy_srcs=[finding.key]),
        tracking_id=short_text(f"{finding.name} {finding.key[:8]}"),
        anatomic_regions=[organ_code(finding.anatomy)] if finding.anatomy else None,
        display_color=_lab((255, 157, 46)),
    )
    if finding.note:
        segment.SegmentDescription = plain_text(finding.note)
    return segment


def organ_segment(number: int, name: str, masks: OrganMasks) -> Any:
    """Return the description of an organ's segment; its side is a modifier of its type."""
    import highdicom

    segment = highdicom.seg.SegmentDescription(
        number,
        short_text(anatomy_label(name)),
        codes.SCT.AnatomicalStructure,
        organ_code(name),
        highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        _organ_algorithm(masks),
        display_color=_lab(colour_of(name)),
    )
    side = laterality_code(name)
    if side is not None:
        kind = segment.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [highdicom.sr.CodedConcept.from_code(side)]
    return segment


def _organ_algorithm(masks: OrganMasks) -> Any:
    if masks.source == "quick":
        number = version("napari-ctclip")
        family = codes.DCM.MorphologicalOperations
        return _algorithm("napari-ctclip, from HU", number, family=family)
    # another source is a path, which may name the patient
    known = masks.source == "TotalSegmentator"
    return _algorithm(masks.source if known else "label map file", "unknown")


def _algorithm(name: str, number: str, *, family: Any = codes.DCM.ArtificialIntelligence) -> Any:
    import highdicom

    return highdicom.AlgorithmIdentificationSequence(
        name=short_text(name), family=family, version=number
    )


def _lab(colour: tuple[int, int, int]) -> Any:
    import highdicom

    return highdicom.color.CIELabColor.from_rgb(*colour)


def short_text(text: str) -> str:
    """Return a text that fits DICOM's Long String, in the characters it allows."""
    return plain_text(text).replace("\\", "/")[:_LABEL_LENGTH]


def plain_text(text: str) -> str:
    """Return a text in ASCII: the series decides the character set, and may allow no more."""
    return text.encode("ascii", "replace").decode("ascii")

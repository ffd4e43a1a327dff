"""Descriptions of DICOM segments, and texts as DICOM takes them."""

# mypy: allow-untyped-calls
# highdicom is typed in part only.
from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

from napari_ctclip.core.anatomy import anatomy_label, colour_of
from napari_ctclip.core.finding import Finding
from napari_ctclip.core.organ_masks import OrganMasks

__all__ = [
    "finding_code",
    "finding_segment",
    "laterality_code",
    "organ_code",
    "organ_segment",
    "plain_text",
    "short_text",
]

_LABEL_LENGTH = 64


_ORGANS: Mapping[str, str] = {
    "lung": "Lung", "trachea_and_airways": "TracheaAndBronchus", "trachea": "Trachea",
    "heart": "Heart", "heart_atrium_left": "LeftAtrium", "heart_atrium_right": "RightAtrium",
    "heart_ventricle_left": "LeftVentricle", "heart_ventricle_right": "RightVentricle",
    "aorta": "Aorta", "esophagus": "Esophagus", "mediastinum": "Mediastinum",
    "pulmonary_artery": "PulmonaryArtery", "pulmonary_vein": "PulmonaryVein",
    "superior_vena_cava": "SuperiorVenaCava", "inferior_vena_cava": "InferiorVenaCava",
    "portal_vein": "PortalVein", "brachiocephalic_trunk": "BrachiocephalicTrunk",
    "brachiocephalic_vein": "BrachiocephalicVein", "subclavian_artery": "SubclavianArtery",
    "common_carotid_artery": "CommonCarotidArtery", "iliac_artery": "IliacArtery",
    "iliac_vena": "IliacVein", "liver": "Liver", "spleen": "Spleen", "stomach": "Stomach",
    "pancreas": "Pancreas", "gallbladder": "Gallbladder", "duodenum": "Duodenum",
    "small_bowel": "SmallIntestine", "colon": "Colon", "kidney": "Kidney",
    "adrenal_gland": "AdrenalGland", "urinary_bladder": "Bladder", "prostate": "Prostate",
    "thyroid_gland": "Thyroid", "brain": "Brain", "spinal_cord": "SpinalCord", "skull": "Skull",
    "sternum": "Sternum", "sacrum": "Sacrum", "scapula": "Scapula", "clavicula": "Clavicle",
    "humerus": "Humerus", "femur": "Femur", "hip": "Ilium", "rib": "Rib", "ribs": "Rib",
    "vertebrae": "Vertebra", "bone": "Bone",
}  # fmt: skip
"""Anatomy, or how its name begins -> keyword of pydicom's SNOMED CT dictionary."""
_FINDINGS: Mapping[str, str] = {
    "pleural effusion": "PleuralEffusion", "pericardial effusion": "PericardialEffusion",
    "pneumothorax": "Pneumothorax", "nodule": "Nodule", "mass": "Mass", "cyst": "Cyst",
    "lymph node": "LymphNode", "aneurysm": "Aneurysm", "abscess": "Abscess",
    "hemorrhage": "Hemorrhage", "thrombus": "Thrombus", "fibrosis": "Fibrosis", "edema": "Edema",
}  # fmt: skip
"""Words of a finding -> keyword; longer words are looked for first."""
_SIDES: Mapping[str, str] = {"left": "Left", "right": "Right"}


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


def organ_code(anatomy: str) -> Code:
    """Return the code of an organ; "Anatomical Structure" where no narrower one is known.

    The side is not in it: see :func:`laterality_code`.
    """
    fitting = [stem for stem in _ORGANS if anatomy == stem or anatomy.startswith(f"{stem}_")]
    if not fitting:
        return _snomed("AnatomicalStructure")
    return _snomed(_ORGANS[max(fitting, key=len)])


def laterality_code(anatomy: str) -> Code | None:
    """Return the code of the side in an organ's name; None if it has none."""
    side = next((part for part in anatomy.split("_") if part in _SIDES), "")
    return _snomed(_SIDES[side]) if side else None


def finding_code(text: str) -> Code:
    """Return the code of a finding in words; "Lesion" where its words name none."""
    words = " ".join(text.lower().split())
    for phrase in sorted(_FINDINGS, key=len, reverse=True):
        if re.search(rf"\b{phrase}(s|es)?\b", words):
            return _snomed(_FINDINGS[phrase])
    return _snomed("Lesion")


def _snomed(keyword: str) -> Code:
    code: Code = getattr(codes.SCT, keyword)
    return code

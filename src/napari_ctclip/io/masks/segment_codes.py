"""Coded names (SNOMED CT) of organs and findings, for DICOM segments."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

__all__ = ["finding_code", "laterality_code", "organ_code"]

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


def organ_code(anatomy: str) -> Code:
    """Return the code of an organ; "Anatomical Structure" where no narrower one is known.

    The side is not in it: see :func:`laterality_code`.
    """
    fitting = [stem for stem in _ORGANS if anatomy == stem or anatomy.startswith(f"{stem}_")]
    if not fitting:
        return _snomed("AnatomicalStructure")
    return _snomed(_ORGANS[max(fitting, key=len)])


def laterality_code(anatomy: str) -> Code | None:
    """Return the code of the side that an organ's name tells; None if it tells none."""
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

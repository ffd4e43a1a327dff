"""The numbers TotalSegmentator gives to anatomies: version 1 and version 2 are two languages."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["EVERY_NAME", "TOTALSEGMENTATOR_V1", "TOTALSEGMENTATOR_V2"]

_SPINE = tuple(
    [f"vertebrae_L{n}" for n in range(5, 0, -1)]
    + [f"vertebrae_T{n}" for n in range(12, 0, -1)]
    + [f"vertebrae_C{n}" for n in range(7, 0, -1)]
)
_RIBS = tuple(f"rib_{side}_{n}" for side in ("left", "right") for n in range(1, 13))
_LUNGS = (
    "lung_upper_lobe_left", "lung_lower_lobe_left", "lung_upper_lobe_right",
    "lung_middle_lobe_right", "lung_lower_lobe_right",
)  # fmt: skip
_ADRENALS = ("adrenal_gland_right", "adrenal_gland_left")
_FIRST_SIX = ("spleen", "kidney_right", "kidney_left", "gallbladder", "liver", "stomach")


def _sides(*names: str) -> tuple[str, ...]:
    return tuple(f"{name}_{side}" for name in names for side in ("left", "right"))


def _numbered(*names: str) -> Mapping[int, str]:
    return MappingProxyType(dict(enumerate(names, start=1)))


TOTALSEGMENTATOR_V1: Mapping[int, str] = _numbered(
    *_FIRST_SIX,
    "aorta", "inferior_vena_cava", "portal_vein_and_splenic_vein", "pancreas",
    *_ADRENALS,
    *_LUNGS,
    *_SPINE,
    "esophagus", "trachea",
    "heart_myocardium", "heart_atrium_left", "heart_ventricle_left", "heart_atrium_right",
    "heart_ventricle_right", "pulmonary_artery", "brain",
    *_sides("iliac_artery", "iliac_vena"),
    "small_bowel", "duodenum", "colon",
    *_RIBS,
    *_sides("humerus", "scapula", "clavicula", "femur", "hip"),
    "sacrum", "face",
    *_sides("gluteus_maximus", "gluteus_medius", "gluteus_minimus", "autochthon", "iliopsoas"),
    "urinary_bladder",
)  # fmt: skip
"""Label -> name of TotalSegmentator 1 (task ``total``, 104 anatomies)."""

TOTALSEGMENTATOR_V2: Mapping[int, str] = _numbered(
    *_FIRST_SIX,
    "pancreas",
    *_ADRENALS,
    *_LUNGS,
    "esophagus", "trachea", "thyroid_gland", "small_bowel", "duodenum", "colon",
    "urinary_bladder", "prostate",
    *_sides("kidney_cyst"),
    "sacrum", "vertebrae_S1",
    *_SPINE,
    "heart", "aorta", "pulmonary_vein", "brachiocephalic_trunk",
    "subclavian_artery_right", "subclavian_artery_left",
    "common_carotid_artery_right", "common_carotid_artery_left",
    *_sides("brachiocephalic_vein"),
    "atrial_appendage_left", "superior_vena_cava", "inferior_vena_cava",
    "portal_vein_and_splenic_vein",
    *_sides("iliac_artery", "iliac_vena", "humerus", "scapula", "clavicula", "femur", "hip"),
    "spinal_cord",
    *_sides("gluteus_maximus", "gluteus_medius", "gluteus_minimus", "autochthon", "iliopsoas"),
    "brain", "skull",
    *_RIBS,
    "sternum", "costal_cartilages",
)  # fmt: skip
"""Label -> name of TotalSegmentator 2 (task ``total``, 117 anatomies)."""

EVERY_NAME: tuple[str, ...] = tuple(
    dict.fromkeys([*TOTALSEGMENTATOR_V1.values(), *TOTALSEGMENTATOR_V2.values()])
)
"""Names of both versions."""

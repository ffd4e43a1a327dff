"""Anatomy: the vocabulary of organs: groups, names, colours, and which one a prompt is about."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from napari_ctclip.core.anatomy_table import (
    EVERY_NAME,
    TOTALSEGMENTATOR_V1,
    TOTALSEGMENTATOR_V2,
    read_anatomy_table,
)

__all__ = [
    "COARSE_ANATOMIES",
    "GROUPS",
    "MAJOR_ANATOMIES",
    "TOTALSEGMENTATOR_V1",
    "TOTALSEGMENTATOR_V2",
    "anatomy_in_text",
    "anatomy_label",
    "coarse_anatomy",
    "colour_of",
    "major_anatomy",
    "members",
    "one_word",
]

Colour = tuple[int, int, int]


def _starting(*prefixes: str) -> tuple[str, ...]:
    return tuple(name for name in EVERY_NAME if name.startswith(prefixes))


_TABLE = read_anatomy_table()
MAJOR_ANATOMIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {anatomy: _TABLE.members_of(anatomy, EVERY_NAME) for anatomy in _TABLE.parts}
)
"""The 36 major anatomies of fVLM, each with the TotalSegmentator names (v1 and v2) it joins.

Read from ``major_anatomies.toml``.

References
----------
fVLM (arXiv 2501.14548), section 3.1: 104 regions grouped into 36 major anatomies.
"""

_BONES = _starting(
    "vertebrae_", "rib_", "sacrum", "scapula", "clavicula", "humerus", "femur", "hip", "sternum",
    "skull", "costal",
)  # fmt: skip
GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **MAJOR_ANATOMIES,
        "lung_right": tuple(n for n in _starting("lung") if n.endswith("_right")),
        "lung_left": tuple(n for n in _starting("lung") if n.endswith("_left")),
        "trachea_and_airways": ("trachea",),
        "kidney_right": ("kidney_right", "kidney_cyst_right"),
        "kidney_left": ("kidney_left", "kidney_cyst_left"),
        "bone": _BONES,
        "vertebrae": _starting("vertebrae_"),
        "ribs": _starting("rib_"),
        "mediastinum": (
            *MAJOR_ANATOMIES["heart"], "aorta", "esophagus", "trachea", "pulmonary_artery",
            "pulmonary_vein", "superior_vena_cava", "brachiocephalic_trunk",
            "brachiocephalic_vein_left", "brachiocephalic_vein_right",
        ),
        "vessels": (
            "aorta", "inferior_vena_cava", "superior_vena_cava", "portal_vein_and_splenic_vein",
            "pulmonary_artery", "pulmonary_vein", "brachiocephalic_trunk",
            *_starting("iliac_artery", "iliac_vena", "subclavian", "common_carotid",
                       "brachiocephalic_vein"),
        ),
        "muscle": _starting("gluteus", "autochthon", "iliopsoas"),
    }
)  # fmt: skip
"""Every group a user may ask for by name, with the TotalSegmentator names it joins."""

COARSE_ANATOMIES: tuple[str, ...] = (
    "body", "lung_right", "lung_left", "trachea_and_airways", "heart", "aorta", "esophagus",
    "liver", "spleen", "stomach", "bone", "vertebrae", "ribs", "kidney_right", "kidney_left",
    "mediastinum",
)  # fmt: skip
"""Names that masks from HU alone and simulated studies use."""


def members(group: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return which of ``names`` belong to an anatomy or group, in their order.

    ``"lung_right"`` finds ``lung_upper_lobe_right``; ``"ribs"`` finds ``rib_left_4``.
    """
    known = set(GROUPS.get(group, ()))
    if group == "bone":
        known |= {"vertebrae", "ribs"}
    if group in ("lung", "kidney"):
        known |= {f"{group}_right", f"{group}_left"}
    return tuple(
        name for name in names if name == group or name in known or name.startswith(f"{group}_")
    )


def major_anatomy(name: str) -> str:
    """Return the major anatomy (of 36) a name belongs to; ``""`` if none, e.g. the thyroid."""
    if name in MAJOR_ANATOMIES:
        return name
    side_free = name.removesuffix("_right").removesuffix("_left")
    if side_free in MAJOR_ANATOMIES:
        return side_free
    return next((group for group, parts in MAJOR_ANATOMIES.items() if name in parts), "")


def coarse_anatomy(name: str) -> str:
    """Return the entry of ``COARSE_ANATOMIES`` that holds a name; ``""`` if none does.

    The narrowest wins: ``vertebrae_L1`` gives ``"vertebrae"``, a femur ``"bone"``.
    """
    if name in COARSE_ANATOMIES:
        return name
    holding = [c for c in COARSE_ANATOMIES if name in GROUPS.get(c, ())]
    return min(holding, key=lambda c: len(GROUPS[c]), default="")


# --- names for people -----------------------------------------------------------------------------

_SPOKEN = {
    "clavicula": "clavicle",
    "iliac_vena": "iliac vein",
    "autochthon": "deep back muscle",
    "lung_upper_lobe": "upper lobe",
    "lung_middle_lobe": "middle lobe",
    "lung_lower_lobe": "lower lobe",
    "hip": "hip bone",
    "heart_atrium": "atrium",
    "heart_ventricle": "ventricle",
    "heart_myocardium": "myocardium",
    "atrial_appendage": "atrial appendage",
}
_VERTEBRA = re.compile(r"^vertebrae_([CTLS]\d+)$")
_RIB = re.compile(r"^rib_(left|right)_(\d+)$")


def anatomy_label(name: str) -> str:
    """Return what a person calls it: ``lung_upper_lobe_left`` -> ``"left upper lobe"``."""
    vertebra, rib = _VERTEBRA.match(name), _RIB.match(name)
    if vertebra:
        return f"{vertebra[1]} vertebra"
    if rib:
        return f"{rib[1]} rib {rib[2]}"
    for side in ("left", "right"):
        if name.endswith(f"_{side}"):
            stem = name.removesuffix(f"_{side}")
            return f"{side} {_SPOKEN.get(stem, stem.replace('_', ' '))}"
    return _SPOKEN.get(name, name.replace("_", " "))


# --- colours --------------------------------------------------------------------------------------

_ARTERY, _VEIN, _BONE, _MUSCLE = (200, 20, 20), (0, 85, 215), (242, 217, 182), (235, 120, 45)
_COLOURS: Mapping[str, Colour] = {
    "body": (120, 120, 130),
    "lung": (70, 205, 220),
    "trachea": (0, 180, 200),
    "heart": (185, 0, 45),
    "atrial_appendage": (205, 60, 95),
    "aorta": (216, 108, 54),
    "esophagus": (190, 90, 170),
    "mediastinum": (205, 150, 125),
    "liver": (40, 140, 40),
    "spleen": (125, 190, 60),
    "stomach": (180, 70, 160),
    "kidney": (46, 138, 184),
    "kidney_cyst": (90, 175, 220),
    "adrenal_gland": (240, 170, 35),
    "pancreas": (190, 165, 60),
    "gallbladder": (55, 215, 120),
    "duodenum": (170, 80, 190),
    "small_bowel": (160, 60, 180),
    "colon": (135, 40, 165),
    "urinary_bladder": (55, 95, 215),
    "prostate": (90, 250, 155),
    "thyroid": (250, 210, 60),
    "brain": (216, 55, 150),
    "spinal_cord": (255, 215, 0),
    "face": (190, 215, 55),
    "vertebrae": _BONE,
    "rib": (228, 200, 150),
    "bone": (235, 210, 170),
    "sacrum": (222, 190, 150), "scapula": (250, 228, 192), "clavic": (255, 236, 201),
    "humerus": (245, 215, 160), "femur": (245, 210, 150), "hip": (238, 205, 165),
    "sternum": (215, 195, 165), "skull": (245, 225, 200), "costal": (200, 215, 225),
    "superior_vena_cava": _VEIN, "inferior_vena_cava": _VEIN, "portal": (60, 120, 235),
    "pulmonary_vein": (90, 125, 225), "brachiocephalic_vein": _VEIN, "iliac_ve": _VEIN,
    "pulmonary_artery": (160, 50, 120), "brachiocephalic_trunk": _ARTERY, "subclavian": _ARTERY,
    "common_carotid": _ARTERY, "iliac_artery": _ARTERY, "vessels": _ARTERY,
    "gluteus": _MUSCLE, "autochthon": _MUSCLE, "iliopsoas": _MUSCLE, "erector": _MUSCLE,
    "muscle": _MUSCLE,
}  # fmt: skip
_LOBE_SHADE = {"upper": 1.12, "middle": 0.92, "lower": 0.78}


def colour_of(name: str) -> Colour:
    """Return the colour (red, green, blue; 0 to 255) an anatomy is drawn in.

    Families as in TotalSegmentator and 3D Slicer: lungs cyan, heart and arteries red, veins blue,
    bowel violet, bone ivory. The right side is darker than the left; neighbouring vertebrae, ribs
    and lobes differ in shade. An unknown name gets a colour of its own, always the same.
    """
    family = max((f for f in _COLOURS if name.startswith(f)), key=len, default="")
    if not family:
        return _invented(name)
    shade = 0.82 if name.endswith("_right") or "_right_" in name else 1.0
    number = re.search(r"(\d+)$", name)
    if number:
        shade *= 1.0 if int(number[1]) % 2 else 0.85
    for lobe, factor in _LOBE_SHADE.items():
        if f"_{lobe}_lobe" in name:
            shade *= factor
    red, green, blue = (min(255, round(part * shade)) for part in _COLOURS[family])
    return red, green, blue


def _invented(name: str) -> Colour:
    seed = sum((index + 1) * ord(letter) for index, letter in enumerate(name))
    return 80 + seed * 37 % 160, 80 + seed * 67 % 160, 80 + seed * 97 % 160


_TERMS: tuple[tuple[str, str], ...] = (
    ("heart", r"heart|cardiac|cardio\w*|coronar\w+|pericardi\w+|atri\w+|ventric\w+"),
    ("aorta", r"aort\w+|arterial (wall )?calcif\w+|atheroscler\w+|atheroma\w*"),
    ("esophagus", r"(o?e)sophag\w+|hiatal|hiatus"),
    ("liver", r"liver|hepat\w+"),
    ("spleen", r"spleen|splen\w+"),
    ("kidney", r"kidneys?|renal|nephr\w+"),
    ("pancreas", r"pancrea\w+"),
    ("stomach", r"stomach|gastric"),
    ("gallbladder", r"gallbladder|cholecyst\w+"),
    (
        "trachea_and_airways",
        r"trachea\w*|endobronchial",
    ),
    (
        "bone",
        r"bon(e|es|y)|osseous|ribs?|vertebra\w*|stern\w+|fractures?|spine|spinal",
    ),
    ("thoracic_cavity", r"pleura\w*|effusions?|hydrothorax|h(a?e)mothorax|empyema"),
    (
        "lung",
        r"lungs?|pulmonary|lob(e|es|ar)|apical|subpleural|nodul\w+|ground.?glass|ggo|"
        r"consolidat\w+|emphysem\w+|bulla\w*|pneumo\w+|atelecta\w+|bronchi\w+|honeycomb\w+|"
        r"fibro\w+|reticul\w+|interstitial|airspace|opacit\w+|opacif\w+|infiltrat\w+|mosaic|peribronch\w+|interlobular|septal",
    ),
)
_PATTERNS = tuple((name, re.compile(rf"\b({words})\b", re.IGNORECASE)) for name, words in _TERMS)


def anatomy_in_text(text: str) -> str:
    """Return the anatomy a prompt speaks of, e.g. "lung" for "ground-glass opacity"; "" if none.

    An organ that is named goes before one that is only implied by the kind of finding.
    """
    return next((name for name, pattern in _PATTERNS if pattern.search(text)), "")


_KEPT = "LMN"  # letters, the marks that belong to them in many scripts, digits


def one_word(text: str) -> str:
    """Return the words of a text joined by underscores: ``"Nodule, 2nd"`` -> ``Nodule_2nd``."""
    spelled = unicodedata.normalize("NFC", text)
    kept = (c if unicodedata.category(c)[0] in _KEPT else " " for c in spelled)
    return "_".join("".join(kept).split())

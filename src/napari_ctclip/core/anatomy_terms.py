"""Words to anatomy: where the finding in a prompt is to be looked for."""

from __future__ import annotations

import re

__all__ = ["anatomy_in_text"]

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

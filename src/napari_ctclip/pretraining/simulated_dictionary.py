"""The abnormality dictionary of simulated cohorts: their own findings, in their own words."""

from __future__ import annotations

from collections.abc import Sequence

from napari_ctclip.core.anatomy import COARSE_ANATOMIES, members
from napari_ctclip.pretraining.sentences import load_vocabulary

__all__ = ["simulated_abnormalities"]

_LUNG, _VESSELS = ("lung_right", "lung_left"), ("aorta", "heart")
_PLACES = {
    "lung nodule": _LUNG,
    "lung mass": _LUNG,
    "ground-glass opacity": _LUNG,
    "consolidation": _LUNG,
    "pleural effusion": _LUNG,
    "pneumothorax": _LUNG,
    "emphysema": _LUNG,
    "arterial calcification": _VESSELS,
}


def simulated_abnormalities(anatomies: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """Return (finding, wording) pairs of every anatomy, one for each term of the vocabulary."""
    findings = load_vocabulary().findings
    return {
        anatomy: [
            (finding.name, term)
            for finding in findings
            if set(members(anatomy, COARSE_ANATOMIES)) & set(_PLACES[finding.name])
            for term in finding.terms
        ]
        for anatomy in anatomies
    }

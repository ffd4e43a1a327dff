"""The abnormality dictionary of simulated cohorts: their own findings, in their own words."""

from __future__ import annotations

from collections.abc import Sequence

from napari_ctclip.core.anatomy import members
from napari_ctclip.pretraining.starter.sentences import load_vocabulary

__all__ = ["simulated_abnormalities"]


def simulated_abnormalities(anatomies: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """Return (finding, wording) pairs of every anatomy, one for each term of the vocabulary.

    A finding is of an anatomy that holds its tissue, or that its tissue holds.
    """
    return {
        anatomy: [
            (finding.name, term)
            for finding in load_vocabulary().findings
            if members(anatomy, [finding.tissue]) or members(finding.tissue, [anatomy])
            for term in finding.terms
        ]
        for anatomy in anatomies
    }

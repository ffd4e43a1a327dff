"""Findings: what a radiology report says, sentence by sentence, by rules and without a service."""

from napari_ctclip.reports.decomposition import decompose
from napari_ctclip.reports.labels import findings_of_labels
from napari_ctclip.reports.lexicon import Lexicon, load_lexicon
from napari_ctclip.reports.structure import (
    AnatomyText,
    Certainty,
    Change,
    DecomposedReport,
    FindingMention,
    Measurement,
    Section,
    Sentence,
    Status,
)

__all__ = [
    "AnatomyText",
    "Certainty",
    "Change",
    "DecomposedReport",
    "FindingMention",
    "Lexicon",
    "Measurement",
    "Section",
    "Sentence",
    "Status",
    "decompose",
    "findings_of_labels",
    "load_lexicon",
]

"""Short lung sections of reports, one a pattern of interstitial lung disease; our own phrasing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np

from napari_ctclip.core.report import Report

__all__ = ["PATTERNS", "Pattern", "write_pattern_report"]

Pattern = Literal[
    "Usual interstitial pneumonia",
    "Nonspecific interstitial pneumonia",
    "Organizing pneumonia",
    "Hypersensitivity pneumonitis",
    "Emphysema",
    "Normal",
]
PATTERNS: tuple[Pattern, ...] = get_args(Pattern)
"""Patterns that can be simulated, in the order of the tables."""

_FINDINGS: Mapping[Pattern, tuple[str, ...]] = {
    "Usual interstitial pneumonia": (
        "Subpleural basal honeycombing with traction bronchiectasis.",
        "Clustered cysts and reticulation below the pleura, most at the lung bases.",
        "Basal predominant honeycombing and reticulation.",
    ),
    "Nonspecific interstitial pneumonia": (
        "Symmetric basal ground-glass opacity with fine reticulation.",
        "Bilateral haze of the lower lobes that spares the subpleural lung.",
        "Ground-glass opacity of both bases with subpleural sparing.",
    ),
    "Organizing pneumonia": (
        "Patchy subpleural and peribronchovascular consolidation.",
        "Several foci of consolidation, some with a reversed halo.",
        "Bilateral peripheral patches of dense lung.",
    ),
    "Hypersensitivity pneumonitis": (
        "Mosaic attenuation with soft centrilobular nodules.",
        "Ground-glass nodules with lobules of trapped air.",
        "Three densities side by side and ill-defined centrilobular nodules.",
    ),
    "Emphysema": (
        "Areas of low attenuation without walls.",
        "Destruction of lung tissue with dark holes.",
        "Many small lucent holes in the lungs.",
    ),
    "Normal": (
        "Lungs are clear.",
        "Lung tissue of normal density.",
        "No interstitial change of the lungs.",
    ),
}
_IMPRESSION: Mapping[Pattern, tuple[str, ...]] = {
    "Usual interstitial pneumonia": ("Usual interstitial pneumonia.", "UIP pattern."),
    "Nonspecific interstitial pneumonia": ("Nonspecific interstitial pneumonia.", "NSIP pattern."),
    "Organizing pneumonia": ("Organizing pneumonia.", "OP pattern."),
    "Hypersensitivity pneumonitis": ("Hypersensitivity pneumonitis.", "HP pattern."),
    "Emphysema": ("Pulmonary emphysema.", "Emphysema."),
    "Normal": ("Normal lungs.", "No interstitial lung disease."),
}


def write_pattern_report(pattern: Pattern, rng: np.random.Generator) -> Report:
    """Return what is seen and what it means: short, for text encoders of 32 tokens."""
    return Report(str(rng.choice(_FINDINGS[pattern])), str(rng.choice(_IMPRESSION[pattern])))

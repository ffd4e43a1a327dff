"""Spelling: names as one word, in any script."""

from __future__ import annotations

import unicodedata

__all__ = ["one_word"]

_KEPT = "LMN"  # letters, the marks that belong to them in many scripts, digits


def one_word(text: str) -> str:
    """Return the words of a text joined by underscores: ``"Nodule, 2nd"`` -> ``Nodule_2nd``."""
    spelled = unicodedata.normalize("NFC", text)
    kept = (c if unicodedata.category(c)[0] in _KEPT else " " for c in spelled)
    return "_".join("".join(kept).split())

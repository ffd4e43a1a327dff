"""Which of a model's anatomies a prompt asks about."""

from __future__ import annotations

from collections.abc import Sequence

from napari_ctclip.core.anatomy_terms import anatomy_in_text
from napari_ctclip.core.prompt import Prompt

__all__ = ["queried_anatomy"]

_SPOKEN_OF_WITH = {"thoracic_cavity": "lung"}
"""Reports taken apart by organ tell of the pleura with the lung."""


def queried_anatomy(prompt: Prompt, anatomies: Sequence[str]) -> str:
    """Return the one of ``anatomies`` that a prompt names or implies; "" if none."""
    wanted = prompt.anatomy or anatomy_in_text(prompt.positive)
    if wanted not in anatomies:
        wanted = _SPOKEN_OF_WITH.get(wanted, "")
    return wanted if wanted in anatomies else ""

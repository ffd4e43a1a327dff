"""Prompt: a finding in words, and what it is contrasted with."""

from __future__ import annotations

import re
from dataclasses import dataclass

from napari_ctclip.core.anatomy import anatomy_in_text, anatomy_label
from napari_ctclip.core.errors import DataError
from napari_ctclip.core.template_set import AS_TYPED, TemplateSet, denied_text

__all__ = ["Prompt", "automatic_negative", "slug"]

_ARTICLE = re.compile(r"^(a|an|the|there is|there are)\b\s*", re.IGNORECASE)
_SLUG_LENGTH = 60


@dataclass(frozen=True)
class Prompt:
    """A finding in words, what it is contrasted with, and where to look.

    Attributes
    ----------
    positive : str
        The finding, e.g. ``"lung nodule"``.
    negative : str
        Its opposite; made by :func:`automatic_negative` when empty.
    anatomy : str
        Anatomy the question is about; empty means everywhere.
    templates : TemplateSet
        The sentences that both are put in for the model.

    Raises
    ------
    DataError
        If the positive text is empty.
    """

    positive: str
    negative: str = ""
    anatomy: str = ""
    templates: TemplateSet = AS_TYPED

    def __post_init__(self) -> None:
        positive = " ".join(self.positive.split())
        if not positive:
            raise DataError("a prompt needs at least one word, e.g. 'lung nodule'")
        object.__setattr__(self, "positive", positive)
        negative = " ".join(self.negative.split())
        object.__setattr__(self, "negative", negative or automatic_negative(positive))

    @property
    def positives(self) -> tuple[str, ...]:
        """The texts that are encoded as the finding."""
        return self.templates.worded(self.positive, organ=self._organ)

    @property
    def negatives(self) -> tuple[str, ...]:
        """The texts that are encoded as its opposite."""
        return self.templates.worded(self.negative, organ=self._organ)

    @property
    def _organ(self) -> str:
        return anatomy_label(self.anatomy or anatomy_in_text(self.positive))


def automatic_negative(positive: str) -> str:
    """Return the plain opposite of a finding: "lung nodule" -> "no lung nodule".

    A text that is already negated loses its negation.
    """
    text = positive.strip().rstrip(".")
    denied = denied_text(text)
    if denied:
        return denied
    bare = _ARTICLE.sub("", text)
    keep_case = len(bare) > 1 and bare[1].isupper()  # "CT", "GGO"
    return "no " + (bare if keep_case else bare[:1].lower() + bare[1:])


def slug(text: str) -> str:
    """Return ``text`` as a short file-name part of lower-case letters, digits and hyphens."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return plain[:_SLUG_LENGTH].strip("-") or "prompt"

"""Prompt: a finding in words, and what it is contrasted with; Phrase: some words of a text."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from napari_ctclip.core.anatomy import anatomy_in_text, anatomy_label
from napari_ctclip.core.errors import DataError
from napari_ctclip.core.template_set import AS_TYPED, TemplateSet, denied_text

__all__ = [
    "Phrase",
    "Prompt",
    "automatic_negative",
    "slug",
    "words_at",
    "words_between",
]

_ARTICLE = re.compile(r"^(a|an|the|there is|there are)\b\s*", re.IGNORECASE)
_SLUG_LENGTH = 60
_WORD = re.compile(r"\S+")


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


@dataclass(frozen=True)
class Phrase:
    """Chosen words of a text; a word is what stands between blanks.

    Attributes
    ----------
    text : str
        The whole text, its blanks single.
    chosen : tuple of int
        Which words, counted from 0, in the order of the text.

    Raises
    ------
    DataError
        If no word is chosen, or one that is not there.
    """

    text: str
    chosen: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", " ".join(self.text.split()))
        object.__setattr__(self, "chosen", tuple(sorted(set(self.chosen))))
        if not self.chosen:
            raise DataError(f"no word of “{self.text}” is chosen; choose at least one")
        if self.chosen[0] < 0 or self.chosen[-1] >= len(self.words):
            place = self.chosen[0] if self.chosen[0] < 0 else self.chosen[-1]
            raise DataError(
                f"“{self.text}” has {len(self.words)} words, there is no word {place + 1}"
            )

    @property
    def words(self) -> tuple[str, ...]:
        """All words of the text."""
        return tuple(self.text.split())

    @property
    def said(self) -> str:
        """The chosen words, with an ellipsis where others stand between them."""
        words = self.words
        parts = [words[self.chosen[0]]]
        for before, place in pairwise(self.chosen):
            parts += [words[place]] if place == before + 1 else ["…", words[place]]
        return " ".join(parts)

    @property
    def rest(self) -> str:
        """The text without the chosen words; empty if all are chosen."""
        return " ".join(word for i, word in enumerate(self.words) if i not in self.chosen)


def words_at(text: str, characters: Iterable[int]) -> tuple[int, ...]:
    """Return which word of a text each character lies in, or comes before."""
    ends = [match.end() for match in _WORD.finditer(text)]
    return tuple(bisect_right(ends, character) for character in characters)


def words_between(text: str, start: int, stop: int) -> tuple[int, ...]:
    """Return the words of a text that have a character in ``start`` to ``stop``, that excluded."""
    return tuple(
        i
        for i, match in enumerate(_WORD.finditer(text))
        if max(match.start(), start) < min(match.end(), stop)
    )

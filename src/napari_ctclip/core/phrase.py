"""Phrase: some words of a text that are queried together, within the text."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from napari_ctclip.core.errors import DataError

__all__ = ["Phrase", "words_at", "words_between"]

_WORD = re.compile(r"\S+")


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

"""Folding: tokens of a text in the form in which two spellings of a word are one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import NamedTuple

__all__ = ["Folding", "Token", "TokenLine", "fenced"]

_TOKEN = re.compile(r"[^\W\d_]+(?:['’]s\b)?|\d+(?:[.,]\d+)?|[^\w\s]|_")
_SKIPPED = frozenset("-‐‑_'’\"“”*")  # hyphens join, quotes say nothing
_NO_PLURAL = ("ss", "us", "is", "as", "os")


class Token(NamedTuple):
    """A word, number or mark: first and one past its last character, and its folded form."""

    start: int
    end: int
    word: str


class TokenLine(tuple[Token, ...]):
    """The tokens of a text, with what matching needs of them, made once."""

    @cached_property
    def key(self) -> str:
        """The folded words, fenced so that a phrase is a substring of whole words."""
        return fenced([token.word for token in self])

    @cached_property
    def ends(self) -> dict[int, int]:
        """Last character of every token in ``key`` -> its index."""
        ends, length = {}, 0
        for index, token in enumerate(self):
            length += len(token.word) + 2
            ends[length - 1] = index
        return ends


def fenced(words: Iterable[str]) -> str:
    """Return words as one string in which none is found inside another and none share a mark."""
    return "".join([f"\x02{word}\x03" for word in words])


class Folding:
    """Lower case, American spelling, singular.

    Parameters
    ----------
    british : mapping of str to str
        Group of letters -> its American form, wherever it stands in a word.
    words : mapping of str to str
        Whole word -> the form that stands for it.
    """

    def __init__(self, british: Mapping[str, str], words: Mapping[str, str]) -> None:
        self._british = dict(british)
        self._words = dict(words)
        self._known: dict[str, str] = {}

    def fold(self, word: str) -> str:
        """Return the form in which all spellings of a word are one."""
        folded = self._known.get(word)
        if folded is None:
            folded = self._known[word] = self._fold(word)
        return folded

    def tokens(self, text: str) -> TokenLine:
        """Return the tokens of a text; hyphens and quotes are left out."""
        known, fold = self._known, self.fold
        return TokenLine(
            [
                Token(match.start(), match.end(), known.get(word) or fold(word))
                for match in _TOKEN.finditer(text)
                if (word := match[0]) not in _SKIPPED
            ]
        )

    def words(self, text: str) -> list[str]:
        """Return the folded words of a text."""
        return [token.word for token in self.tokens(text)]

    def _fold(self, word: str) -> str:
        low = word.lower().removesuffix("'s").removesuffix("’s")
        for old, american in self._british.items():
            low = low.replace(old, american)
        if low in self._words:
            return self._words[low]
        if len(low) > 3 and low.endswith("s") and not low.endswith(_NO_PLURAL):
            low = low[:-3] + "y" if low.endswith("ies") else low[:-1]
        return self._words.get(low, low)

"""Phrases: many phrases found in folded tokens in one pass."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, NamedTuple, TypeVar

import ahocorasick

from napari_ctclip.reports.folding import Folding, TokenLine, fenced

__all__ = ["Hit", "PhraseMatcher"]

T = TypeVar("T")


class Hit(NamedTuple, Generic[T]):
    """A phrase in a text: first and last token, and what it stands for."""

    first: int
    last: int
    values: tuple[T, ...]


class PhraseMatcher(Generic[T]):
    """Finds phrases, the longest from the left, without overlap (Aho-Corasick).

    Parameters
    ----------
    phrases : iterable of (str, T)
        Phrase and what it stands for; a phrase may stand for several things.
    folding : Folding
        Folds the phrases as it folds the text.
    """

    def __init__(self, phrases: Iterable[tuple[str, T]], folding: Folding) -> None:
        meanings: dict[tuple[str, ...], dict[T, None]] = {}
        for phrase, value in phrases:
            meanings.setdefault(tuple(folding.words(phrase)), {})[value] = None
        self._automaton = ahocorasick.Automaton()
        for words, values in meanings.items():
            if words:
                self._automaton.add_word(fenced(words), (len(words), tuple(values)))
        self._automaton.make_automaton()

    def find(self, tokens: TokenLine) -> list[Hit[T]]:
        """Return the phrases in a line of tokens, from left to right."""
        if not len(self._automaton):
            return []
        ends = tokens.ends
        return [
            Hit(ends[end] - count + 1, ends[end], values)
            for end, (count, values) in self._automaton.iter_long(tokens.key)
        ]

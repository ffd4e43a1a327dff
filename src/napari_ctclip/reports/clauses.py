"""Clauses: the parts of a sentence within which a negation or a doubt holds."""

from __future__ import annotations

from typing import NamedTuple

from napari_ctclip.reports.folding import TokenLine
from napari_ctclip.reports.lexicon import Lexicon

__all__ = ["Clauses", "clauses_of"]

_LIST_REACH = 4  # Ours: tokens; longer than "pericardial effusion, no" it is a statement of its own


class Clauses(NamedTuple):
    """The clauses of a sentence.

    Attributes
    ----------
    numbers : list of int
        For every token the number of its clause.
    mains : dict of int to int
        Relative clause -> the clause it belongs to.
    backward : frozenset of int
        Tokens "no" that deny the list before them too.
    """

    numbers: list[int]
    mains: dict[int, int]
    backward: frozenset[int]


def clauses_of(tokens: TokenLine, lexicon: Lexicon) -> Clauses:
    """Return the clauses of a sentence.

    A clause may be in two pieces: what stands in parentheses, and a relative clause with a verb of
    its own, interrupt the clause around them. Two verbs joined by "and" or a comma make two.

    References
    ----------
    Ours, after the scopes of NegEx (Chapman et al. 2001, J Biomed Inform 34:301) and ConText
    (Harkema et al. 2009, J Biomed Inform 42:839).
    """
    return _ClauseReader(tokens, lexicon).read()


class _ClauseReader:
    def __init__(self, tokens: TokenLine, lexicon: Lexicon) -> None:
        self._tokens = tokens
        self._kinds = {hit.first: hit.values[0] for hit in lexicon.clause_matcher.find(tokens)}
        self._verbs = frozenset(lexicon.cues["participles"]["finite_verbs"])
        self._normal = {
            hit.first for hit in lexicon.status_matcher.find(tokens) if hit.values[0] == "normal"
        }
        self._numbers: list[int] = []
        self._count = 0
        self._current = 0
        self._outer: list[int] = []  # clauses that an open parenthesis interrupts
        self._main: int | None = None  # the clause that an open relative clause interrupts
        self._mains: dict[int, int] = {}
        self._backward: set[int] = set()
        self._last_verb: int | None = None
        self._joins: list[int] = []

    def read(self) -> Clauses:
        for index, token in enumerate(self._tokens):
            self._step(index, token.word)
            self._numbers.append(self._current)
        return Clauses(self._numbers, self._mains, frozenset(self._backward))

    def _step(self, index: int, word: str) -> None:
        kind = self._kinds.get(index)
        if word == ")":
            self._current = self._outer.pop() if self._outer else self._current
        elif word == "(":
            self._outer.append(self._current)
            self._open()
        elif kind == "always" or self._starts_denial(index, word):
            self._open()
            self._main = None
        elif kind == "relative" and index:
            self._main = self._current
            self._open()
            self._mains[self._current] = self._main
        elif word in self._verbs:
            self._verb(index)
        elif kind == "joining":
            self._joins.append(index)

    def _starts_denial(self, index: int, word: str) -> bool:
        before = self._tokens[index - 1].word if index else ""
        if word == "no" and self._denies_list(index):
            self._backward.add(index)
            return False
        return word in ("no", "without", "not") and before in (",", "and", "with", "or")

    def _denies_list(self, index: int) -> bool:
        """Return whether a "no" inside a short list denies the whole list.

        "Pneumothorax, no consolidation was seen": the list has no verb but the one after it.
        """
        starts = 0 < index <= _LIST_REACH and self._last_verb is None and self._count == 0
        return starts and any(token.word in self._verbs for token in self._tokens[index:])

    def _open(self) -> None:
        self._count += 1
        self._current = self._count
        self._last_verb = None
        self._joins = []

    def _verb(self, index: int) -> None:
        if self._last_verb is not None and self._main is not None:
            self._current, self._main = self._main, None  # the main verb after a relative clause
        elif self._last_verb is not None and self._joins:
            cut = self._best_join()
            self._count += 1
            self._numbers[cut:] = [
                self._count if n == self._current else n for n in self._numbers[cut:]
            ]
            self._current = self._count
        self._last_verb = index
        self._joins = []

    def _best_join(self) -> int:
        """Return where the second clause starts.

        After "... is normal," the comma ends the statement; otherwise commas may belong to a list
        and the last "and" parts the clauses.
        """
        words = {join: self._tokens[join].word for join in self._joins}
        first = self._joins[0]
        stated = any((self._last_verb or 0) < n < first for n in self._normal)
        if stated and words[first] == ",":
            return first
        return next((join for join in reversed(self._joins) if words[join] == "and"), first)

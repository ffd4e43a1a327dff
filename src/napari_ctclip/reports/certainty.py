"""Certainty: what a sentence asserts or denies, its status, and the comparison with a prior."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from napari_ctclip.reports.clauses import Clauses
from napari_ctclip.reports.folding import TokenLine
from napari_ctclip.reports.lexicon import Lexicon
from napari_ctclip.reports.structure import Certainty, Change, FindingMention, Status

__all__ = ["Scopes", "change_of", "scopes_of", "status_of"]

_QUESTION_REACH = 4  # Ours: tokens between a finding and the question mark that doubts it
_NEXT_REACH = 2  # Ours: tokens: "not enlarged", "not significantly enlarged"
_PARTICIPLE_REACH = 3  # Ours: "not clearly and significantly observed"


class _Cue(NamedTuple):
    first: int
    last: int
    kind: str
    words: str


class Scopes(NamedTuple):
    """The cues of a sentence and the clauses they hold in."""

    cues: tuple[_Cue, ...]
    clauses: Clauses

    def certainty_at(self, first: int, last: int) -> tuple[Certainty, str]:
        """Return how sure the sentence is of its tokens ``first`` to ``last``, and why.

        Doubt goes before denial ("cannot be excluded"), denial before assertion.
        """
        doubt = self._cue(first, last, "doubt")
        if doubt is not None and doubt.kind == "doubt_before_cue":
            return Certainty.UNCERTAIN, f"doubted by {doubt.words!r}"
        gone = self._cue(first, last, "resolved")
        if gone is not None:
            return Certainty.ABSENT, f"gone: {gone.words!r}"
        denial = self._cue(first, last, "deny")
        if denial is not None:
            return Certainty.ABSENT, f"denied by {denial.words!r}"
        if doubt is not None:
            return Certainty.UNCERTAIN, f"doubted by {doubt.words!r}"
        return Certainty.PRESENT, "asserted"

    def _cue(self, first: int, last: int, kind: str) -> _Cue | None:
        clause = self.clauses.numbers[first]
        main = self.clauses.mains.get(clause)
        for cue in self.cues:
            at = self.clauses.numbers[cue.first]
            if cue.kind == kind + "_after_cue" == "deny_after_cue" and at == main:
                if cue.last < first:
                    return cue  # "no lesion that suggests ..." denies what it would suggest
            elif cue.kind.startswith(kind) and at == clause:
                if cue.kind.endswith("_after_cue") and cue.last < first:
                    return cue
                if cue.kind.endswith("_before_cue") and cue.first > last:
                    return cue
                if cue.kind == "deny_next" and 0 < first - cue.last <= _NEXT_REACH:
                    return cue
                near = cue.first - last <= _QUESTION_REACH
                if cue.words == "?" and near and (cue.first > last or first - cue.first == 1):
                    return cue
        return None


def scopes_of(tokens: TokenLine, clauses: Clauses, lexicon: Lexicon) -> Scopes:
    """Return the cues of negation and doubt in a sentence.

    References
    ----------
    Chapman et al. 2001, J Biomed Inform 34:301 (NegEx): cues that deny forwards or backwards, and
    neutral cues that hold a negation without denying.
    """
    hits = lexicon.scope_matcher.find(tokens)
    taken = {index for hit in hits for index in range(hit.first, hit.last + 1)}
    cues = [
        _Cue(hit.first, hit.last, kind, _words(tokens, hit.first, hit.last))
        for hit in hits
        for kind in hit.values
    ]
    cues += [_Cue(index, index, "deny_before_cue", "no") for index in clauses.backward]
    seen = frozenset(lexicon.cues["participles"]["seen"])
    for index, token in enumerate(tokens):
        if token.word == "?":
            cues.append(_Cue(index, index, "doubt", "?"))
        elif token.word == "not" and index not in taken:
            end = _participle(tokens, index, seen)
            if end is not None:
                cues.append(_Cue(index, end, "deny_before_cue", _words(tokens, index, end)))
            else:
                cues.append(_Cue(index, index, "deny_next", "not"))
    return Scopes(tuple(sorted(cues)), clauses)


def _participle(tokens: TokenLine, start: int, seen: frozenset[str]) -> int | None:
    ahead = range(start + 1, min(len(tokens), start + 2 + _PARTICIPLE_REACH))
    for index in ahead:
        if tokens[index].word in seen:
            return index
        if not tokens[index].word.isalpha():  # the clause ends: "not enlarged, a plaque is seen"
            return None
    return None


def _words(tokens: TokenLine, first: int, last: int) -> str:
    return " ".join(token.word for token in tokens[first : last + 1])


def status_of(
    tokens: TokenLine,
    findings: Sequence[FindingMention],
    scopes: Scopes,
    lexicon: Lexicon,
) -> tuple[Status, str]:
    """Return what a sentence says of its anatomies, and why.

    A finding that is present or suspected makes it abnormal; so does a word like "irregular" that
    nothing denies. What is denied, and words like "preserved", make it normal.
    """
    for mention in findings:
        abnormal = not lexicon.findings[mention.name].normal
        if abnormal and mention.certainty is not Certainty.ABSENT:
            return Status.ABNORMAL, f"{mention.name} {mention.certainty}"
    normal = next((f"{m.name} absent" for m in findings if m.certainty is Certainty.ABSENT), "")
    for hit in lexicon.status_matcher.find(tokens):
        words = " ".join(token.word for token in tokens[hit.first : hit.last + 1])
        certainty, said = scopes.certainty_at(hit.first, hit.last)
        denied = certainty is Certainty.ABSENT
        if "abnormal" in hit.values and not denied:
            return Status.ABNORMAL, f"{words!r} {said}"
        if "abnormal" in hit.values or not denied:  # "no normal ..." says neither
            normal = normal or f"{words!r} {said}"
    if normal:
        return Status.NORMAL, normal
    return Status.UNSTATED, "nothing says normal or abnormal"


def change_of(tokens: TokenLine, lexicon: Lexicon) -> Change | None:
    """Return how a sentence compares its finding to a prior examination; None if it does not."""
    kinds = [hit.values for hit in lexicon.change_matcher.find(tokens)]
    flat = {kind for values in kinds for kind in values}
    for kind in ("resolved", "new", "unchanged", "larger", "smaller"):
        if kind in flat or ("compared" in flat and f"{kind}_if_compared" in flat):
            return Change(kind)
    advised = any(token.word == "recommended" for token in tokens)
    return Change.COMPARED if "compared" in flat and not advised else None

"""Reading one sentence: its places, findings, status, sizes and comparison, with reasons."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from napari_ctclip.reports.certainty import Scopes, scopes_of
from napari_ctclip.reports.clauses import clauses_of
from napari_ctclip.reports.folding import TokenLine
from napari_ctclip.reports.language import known_words, reads_as_english
from napari_ctclip.reports.lexicon import FindingEntry, Lexicon
from napari_ctclip.reports.measurements import measurements_in
from napari_ctclip.reports.phrases import Hit
from napari_ctclip.reports.sites import Places, places_of
from napari_ctclip.reports.status import change_of, status_of
from napari_ctclip.reports.structure import (
    Change,
    FindingMention,
    Measurement,
    Status,
)
from napari_ctclip.reports.structures import structures_in

__all__ = ["NOT_ENGLISH", "Reading", "read_sentence"]

_HEADED = re.compile(r"[A-Z][A-Za-z ]{2,30}:")  # "Vasculature: patent." starts a new subject
NOT_ENGLISH = "not recognised as English"


@dataclass(frozen=True)
class Reading:
    """What one sentence says; spans count from its first character.

    ``sites`` are the places that the next sentence may go on speaking of; ``words`` counts the
    known ones and all.
    """

    anatomies: tuple[str, ...] = ()
    structures: tuple[str, ...] = ()
    findings: tuple[FindingMention, ...] = ()
    status: Status = Status.UNSTATED
    measurements: tuple[Measurement, ...] = ()
    change: Change | None = None
    reasons: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    words: tuple[int, int] = (0, 0)


@lru_cache(maxsize=65_536)  # reports repeat themselves: most sentences of an archive are known
def read_sentence(text: str, carried: tuple[str, ...], lexicon: Lexicon) -> Reading:
    """Return what a sentence says.

    Parameters
    ----------
    text : str
        One sentence.
    carried : tuple of str
        Sites of the sentence before it.
    lexicon : Lexicon
        The words.
    """
    tokens = lexicon.folding.tokens(text)
    known, foreign, count = known_words(tokens, lexicon)
    if not reads_as_english(known, foreign, count):
        return Reading(reasons=(NOT_ENGLISH,))
    clauses = clauses_of(tokens, lexicon)
    carried = () if _HEADED.match(text) else carried
    places = places_of(tokens, clauses, carried, lexicon)
    scopes = scopes_of(tokens, clauses, lexicon)
    findings = _findings(tokens, places, scopes, lexicon)
    status, why_status = status_of(tokens, findings, scopes, lexicon)
    anatomies, why_anatomies = _anatomies(places, findings, status, lexicon)
    return Reading(
        anatomies=anatomies,
        structures=structures_in(text, anatomies),
        findings=findings,
        status=status,
        measurements=measurements_in(text),
        change=change_of(tokens, lexicon),
        reasons=(why_anatomies, why_status),
        sites=places.subjects or carried,
        words=(known, count),
    )


def _findings(
    tokens: TokenLine, places: Places, scopes: Scopes, lexicon: Lexicon
) -> tuple[FindingMention, ...]:
    """Return the findings of a sentence; vague words only where nothing better is named."""
    found: list[tuple[bool, FindingMention]] = [
        (all(kind == "vague" for kind, _ in hit.values), mention)
        for hit in lexicon.finding_matcher.find(tokens)
        for mention in _mentions(hit, tokens, places, scopes, lexicon)
    ]
    named = {anatomy for vague, m in found if not vague for anatomy in m.anatomies}
    return tuple(m for vague, m in found if not (vague and named.intersection(m.anatomies)))


def _mentions(
    hit: Hit[tuple[str, str]],
    tokens: TokenLine,
    places: Places,
    scopes: Scopes,
    lexicon: Lexicon,
) -> list[FindingMention]:
    entries, why = _meant(hit, places, lexicon)
    certainty, said = scopes.certainty_at(hit.first, hit.last)
    words = " ".join(token.word for token in tokens[hit.first : hit.last + 1])
    span = (tokens[hit.first].start, tokens[hit.last].end)
    return [
        FindingMention(
            entry.name, (entry.anatomy,), certainty, span, f"{words!r} {why}; {said}".strip()
        )
        for entry in entries
    ]


def _meant(
    hit: Hit[tuple[str, str]], places: Places, lexicon: Lexicon
) -> tuple[tuple[FindingEntry, ...], str]:
    """Return the findings a phrase means: a general word by its place, else a term by itself."""
    terms = tuple(lexicon.findings[name] for kind, name in hit.values if kind == "term")
    heads = tuple(lexicon.findings[name] for kind, name in hit.values if kind != "term")
    if heads:
        placed, why = places.entries_at(hit.first, hit.last, heads)
        if placed or not terms:
            return placed, f"with {why}"
    return terms, "is a term"


def _anatomies(
    places: Places, findings: Sequence[FindingMention], status: Status, lexicon: Lexicon
) -> tuple[tuple[str, ...], str]:
    found = dict.fromkeys(lexicon.anatomies_of(places.subjects))
    found |= dict.fromkeys(name for mention in findings for name in mention.anatomies)
    if places.subjects:
        return tuple(found), "named: " + ", ".join(places.subjects)
    if found:
        return tuple(found), "implied by the finding"
    if places.carried and status is not Status.UNSTATED:
        return lexicon.anatomies_of(places.carried), "goes on about the sentence before"
    return (), "no anatomy named"

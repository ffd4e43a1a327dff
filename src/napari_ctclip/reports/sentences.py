"""Sentences: where one ends, in reports with odd punctuation, bullets and wrapped lines."""

from __future__ import annotations

import re
from itertools import pairwise

__all__ = ["sentence_spans"]

_ABBREVIATIONS = ("dr", "approx", "e.g", "i.e", "vs", "no", "fig", "ca", "st", "resp", "incl", "cf")
# no two open-ended repeats of blanks or stops meet: long runs of them must not take long
_STOP = re.compile(
    r"[.!?]{1,3}[\"”)]{0,3}\s++(?=[\"“•(]?\s?[^\W_a-z])"  # a stop, a blank, then no small letter
    r"|(?<=[a-z]{4})\.\s++(?=[a-z])"  # a small letter after all
    r"|(?<=[a-z)?])\.(?=[A-Z][a-z])"  # the blank after the stop was lost
    r"|[\"“”•|]"  # quotes and bullets
    r"|\n[ \t\r]*\n"
    r"|\n[ \t]*(?=[-*–]\s|\d{1,2}[.)]\s)"  # a list
)
_LINE = re.compile(r"\n[ \t]*(?=[A-Z])")
_WRAPPED_FROM = 60  # Ours: characters; a shorter line that a capital follows was ended on purpose
_LEADING = re.compile(r"[\s\"“”•|*,;:.\-–]*(?:\d{1,2}[.)](?!\d)\s*)?")
_TRAILING = ' \t\r\n"“”•|*,'


def sentence_spans(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Return the spans of the sentences between two characters, bullets and blanks left out."""
    cuts = sorted({start, end, *_stops(text, start, end), *_short_lines(text, start, end)})
    spans = (_trimmed(text, a, b) for a, b in pairwise(cuts))
    return [(a, b) for a, b in spans if any(c.isalnum() for c in text[a:b])]


def _stops(text: str, start: int, end: int) -> list[int]:
    return [
        match.end()
        for match in _STOP.finditer(text, start, end)
        if not _is_abbreviation(text, match.start())
    ]


def _is_abbreviation(text: str, stop: int) -> bool:
    if text[stop : stop + 1] != ".":
        return False
    before = text[max(0, stop - 8) : stop].lower()
    word = re.split(r"[\s(,;]", before)[-1]
    numbered = text[stop + 1 : stop + 3].strip()[:1].isdigit()
    return word in _ABBREVIATIONS and (word not in ("no", "ca") or numbered)


def _short_lines(text: str, start: int, end: int) -> list[int]:
    cuts, line_start = [], start
    for match in _LINE.finditer(text, start, end):
        if match.start() - line_start < _WRAPPED_FROM:
            cuts.append(match.end())
        line_start = match.end()
    return cuts


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    leading = _LEADING.match(text, start, end)
    start = min(end, leading.end()) if leading else start
    while end > start and text[end - 1] in _TRAILING:
        end -= 1
    return start, end

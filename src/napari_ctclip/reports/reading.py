"""Reading: what one sentence says, finding by finding, with sizes, sides and reasons."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from napari_ctclip.reports.certainty import Scopes, change_of, scopes_of, status_of
from napari_ctclip.reports.clauses import clauses_of
from napari_ctclip.reports.folding import TokenLine
from napari_ctclip.reports.lexicon import FindingEntry, Lexicon
from napari_ctclip.reports.phrases import Hit
from napari_ctclip.reports.sites import Sites, sites_of
from napari_ctclip.reports.structure import Change, FindingMention, Measurement, Status

__all__ = [
    "NOT_ENGLISH",
    "REPORT_KNOWN",
    "Reading",
    "known_words",
    "levels_in",
    "measurements_in",
    "read_sentence",
    "reads_as_english",
    "structures_in",
]

REPORT_KNOWN = 0.45  # Ours: a report in English has 0.7 and more known words
_SENTENCE_KNOWN = 0.2  # Ours: a short advice to the referrer has 0.25 and more
_MOST_FOREIGN = 0.04  # Ours: a stray word in a long sentence is forgiven
_FEWEST_WORDS = 3  # Ours: with fewer, unknown words do not tell a language


def known_words(tokens: TokenLine, lexicon: Lexicon) -> tuple[int, int, int]:
    """Return how many words are known (English function words or terms), are foreign, are there."""
    words = [token.word for token in tokens if len(token.word) > 1 and token.word.isalpha()]
    known, foreign = lexicon.known_words, lexicon.foreign_words
    return sum(w in known for w in words), sum(w in foreign for w in words), len(words)


def reads_as_english(known: int, foreign: int, count: int) -> bool:
    """Return whether a sentence with so many known, foreign and all words can be read.

    Hardly any word may be a function word of another language ("kein Pneumothorax" must not become
    a pneumothorax), and some words must be known.
    """
    if foreign > _MOST_FOREIGN * count:
        return False
    return count < _FEWEST_WORDS or known >= _SENTENCE_KNOWN * count


_NUMBER = r"\d{1,4}(?:[.,]\d{1,2})?"
_UNIT = r"(?:mm|cm|millimet(?:er|re)s?|centimet(?:er|re)s?)"
_SIZE = re.compile(
    rf"(?<![\d.,])({_NUMBER})(?:\s*{_UNIT})?"
    rf"(?:\s*(?:x|×|\*|by)\s*({_NUMBER})(?:\s*{_UNIT})?)?"
    rf"(?:\s*(?:x|×|\*|by)\s*({_NUMBER}))?\s*-?\s*({_UNIT})\b",
    re.IGNORECASE,
)


def measurements_in(text: str, offset: int = 0) -> tuple[Measurement, ...]:
    """Return the sizes in a text: ``"1.2 x 0.8 cm"`` -> (12.0, 8.0) mm.

    Parameters
    ----------
    text : str
        A sentence; decimal points and commas are both read.
    offset : int
        Added to the spans: where the sentence starts in its report.
    """
    return tuple(
        Measurement(
            tuple(
                round(float(number.replace(",", ".")) * _millimetres(match[4]), 2)
                for number in match.group(1, 2, 3)
                if number
            ),
            (match.start() + offset, match.end() + offset),
        )
        for match in _SIZE.finditer(text)
    )


def _millimetres(unit: str) -> float:
    return 10.0 if unit.lower().startswith("c") else 1.0


_SIDE = re.compile(r"\b(right|left|both|bilateral(?:ly)?|rt|lt)\b", re.IGNORECASE)
_LOBE = re.compile(
    r"\b(upper|middle|lower)\b(?:[ -](?:and|or|,|upper|middle|lower| )*)?\s*(?:lung )?lobes?\b",
    re.I,
)
_LOBE_WORD = re.compile(r"upper|middle|lower", re.IGNORECASE)
_ACRONYM = re.compile(r"\b([RL])([UML])L\b")
_LINGULA = re.compile(r"\blingul", re.IGNORECASE)
_LEVEL = re.compile(r"\b([CTDLS])\s?-?(\d{1,2})(?:\s?-\s?([CTDLS]?)(\d{1,2}))?\b")
_RIB = re.compile(
    r"\b(?:((?:\d{1,2}(?:st|nd|rd|th)?(?:\s*(?:,|-|and)\s*)?)+))\s*ribs?\b"
    r"|\bribs?\s+(\d{1,2}(?:\s*(?:,|-|and)\s*\d{1,2})*)\b",
    re.IGNORECASE,
)
_LAST = {"C": 7, "T": 12, "L": 5, "S": 1}
_PAIRED = {"kidney": "kidney", "adrenal_gland": "adrenal_gland", "clavicle": "clavicula",
           "scapula": "scapula", "humerus": "humerus", "femur": "femur", "hip": "hip"}  # fmt: skip


def structures_in(text: str, anatomies: Sequence[str]) -> tuple[str, ...]:
    """Return the TotalSegmentator names a sentence narrows its anatomies to.

    ``"nodule in the left upper lobe"`` -> ``lung_upper_lobe_left``; ``"T8"`` -> ``vertebrae_T8``.
    """
    sides = _sides(text)
    found: dict[str, None] = {}
    if "lung" in anatomies:
        found |= dict.fromkeys(_lobes(text, sides))
    for anatomy, stem in _PAIRED.items():
        if anatomy in anatomies:
            found |= dict.fromkeys(f"{stem}_{side}" for side in sides)
    if "rib" in anatomies:
        numbers = [int(n) for m in _RIB.finditer(text) for n in re.findall(r"\d+", m[1] or m[2])]
        found |= dict.fromkeys(f"rib_{s}_{n}" for n in numbers if 1 <= n <= 12 for s in sides)
    found |= dict.fromkeys(f"vertebrae_{level}" for level in levels_in(text))
    return tuple(found)


def levels_in(text: str) -> tuple[str, ...]:
    """Return the vertebral levels a sentence names: ``"T11-L1"`` -> T11, T12, L1; D is T."""
    found: dict[str, None] = {}
    for match in _LEVEL.finditer(text):
        first = _level(match[1], match[2])
        last = _level(match[3] or match[1], match[4]) if match[4] else first
        if first in _ORDER and last in _ORDER:
            a, b = _ORDER.index(first), _ORDER.index(last)
            if 0 <= b - a <= 12:
                found |= dict.fromkeys(_ORDER[a : b + 1])
    return tuple(found)


_ORDER = [f"{letter}{n}" for letter, last in _LAST.items() for n in range(1, last + 1)]


def _level(letter: str, number: str) -> str:
    return ("T" if letter == "D" else letter) + number


def _sides(text: str) -> tuple[str, ...]:
    words = {match[1].lower() for match in _SIDE.finditer(text)}
    if words & {"both", "bilateral", "bilaterally"} or {"right", "left"} <= words:
        return ("right", "left")
    if words & {"right", "rt"}:
        return ("right",)
    return ("left",) if words & {"left", "lt"} else ()


def _lobes(text: str, sides: Sequence[str]) -> list[str]:
    names = {"U": "upper", "M": "middle", "L": "lower"}
    found = [
        f"lung_{names[m[2]]}_lobe_{'right' if m[1] == 'R' else 'left'}"
        for m in _ACRONYM.finditer(text)
    ]
    lobes = {w.lower() for m in _LOBE.finditer(text) for w in _LOBE_WORD.findall(m[0])}
    for lobe in sorted(lobes):
        lobe_sides = ("right",) if lobe == "middle" else sides
        found += [f"lung_{lobe}_lobe_{side}" for side in lobe_sides]
    if _LINGULA.search(text):
        found.append("lung_upper_lobe_left")
    return found


_HEADED = re.compile(r"[A-Z][A-Za-z ]{2,30}:")  # "Vasculature: patent." starts a new subject
NOT_ENGLISH = "not recognised as English"


@dataclass(frozen=True)
class Reading:
    """What one sentence says; spans count from its first character.

    ``sites`` are those that the next sentence may continue with; ``words`` counts the
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
    sites = sites_of(tokens, clauses, carried, lexicon)
    scopes = scopes_of(tokens, clauses, lexicon)
    findings = _findings(tokens, sites, scopes, lexicon)
    status, why_status = status_of(tokens, findings, scopes, lexicon)
    anatomies, why_anatomies = _anatomies(sites, findings, status, lexicon)
    return Reading(
        anatomies=anatomies,
        structures=structures_in(text, anatomies),
        findings=findings,
        status=status,
        measurements=measurements_in(text),
        change=change_of(tokens, lexicon),
        reasons=(why_anatomies, why_status),
        sites=sites.subjects or carried,
        words=(known, count),
    )


def _findings(
    tokens: TokenLine, sites: Sites, scopes: Scopes, lexicon: Lexicon
) -> tuple[FindingMention, ...]:
    """Return the findings of a sentence; vague words only where nothing better is named."""
    found: list[tuple[bool, FindingMention]] = [
        (all(kind == "vague" for kind, _ in hit.values), mention)
        for hit in lexicon.finding_matcher.find(tokens)
        for mention in _mentions(hit, tokens, sites, scopes, lexicon)
    ]
    named = {anatomy for vague, m in found if not vague for anatomy in m.anatomies}
    return tuple(m for vague, m in found if not (vague and named.intersection(m.anatomies)))


def _mentions(
    hit: Hit[tuple[str, str]],
    tokens: TokenLine,
    sites: Sites,
    scopes: Scopes,
    lexicon: Lexicon,
) -> list[FindingMention]:
    entries, why = _meant(hit, sites, lexicon)
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
    hit: Hit[tuple[str, str]], sites: Sites, lexicon: Lexicon
) -> tuple[tuple[FindingEntry, ...], str]:
    """Return the findings a phrase means: a general word by its site, else a term by itself."""
    terms = tuple(lexicon.findings[name] for kind, name in hit.values if kind == "term")
    heads = tuple(lexicon.findings[name] for kind, name in hit.values if kind != "term")
    if heads:
        placed, why = sites.entries_at(hit.first, hit.last, heads)
        if placed or not terms:
            return placed, f"with {why}"
    return terms, "is a term"


def _anatomies(
    sites: Sites, findings: Sequence[FindingMention], status: Status, lexicon: Lexicon
) -> tuple[tuple[str, ...], str]:
    found = dict.fromkeys(lexicon.anatomies_of(sites.subjects))
    found |= dict.fromkeys(name for mention in findings for name in mention.anatomies)
    if sites.subjects:
        return tuple(found), "named: " + ", ".join(sites.subjects)
    if found:
        return tuple(found), "implied by the finding"
    if sites.carried and status is not Status.UNSTATED:
        return lexicon.anatomies_of(sites.carried), "continues the sentence before"
    return (), "no anatomy named"

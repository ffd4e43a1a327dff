"""Structures: side, lobe, level and number in a sentence -> the narrower names of label maps."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["levels_in", "structures_in"]

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

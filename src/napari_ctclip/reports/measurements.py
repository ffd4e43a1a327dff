"""Measurements: sizes in a text, in millimetres."""

from __future__ import annotations

import re

from napari_ctclip.reports.structure import Measurement

__all__ = ["measurements_in"]

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

"""Report: what a radiologist wrote about a study."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Report"]

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9])")


@dataclass(frozen=True)
class Report:
    """The text that goes with a study.

    Attributes
    ----------
    findings : str
        What is seen.
    impression : str
        What it means.
    """

    findings: str = ""
    impression: str = ""

    @property
    def sentences(self) -> tuple[str, ...]:
        """Sentences of findings, then impression, in order."""
        parts = [s for text in (self.findings, self.impression) for s in _SENTENCE_END.split(text)]
        return tuple(part.strip() for part in parts if part.strip())

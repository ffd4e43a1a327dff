"""Sections: which part of a text is findings, impression, technique, history or comparison."""

from __future__ import annotations

import re
from typing import NamedTuple

from napari_ctclip.core.report import Report
from napari_ctclip.reports.lexicon import Lexicon
from napari_ctclip.reports.structure import Section

__all__ = ["SectionSpan", "joined_text", "sections_of"]

_HEADER = re.compile(
    r"(?:^|(?<=[\n.!?;]))[\s\"“”•*#]{0,8}([A-Za-z][A-Za-z /]{2,40}?)\s{0,3}(?::|\n)"
)
_FIRST_SENTENCE = re.compile(r"\S.*?(?:[.!?](?=\s)|\n)(?=\s*\S)", re.DOTALL)
_BULLETS = re.compile(r"(?<=[.!?])[\s,.]{0,8}[\"“”•](?=\s{0,8}\S)")
_NUMBERED = re.compile(r"(?<=[.!?])\s+1[.)]\s+(?=[A-Z])(?=.*\s2[.)]\s)", re.DOTALL)


class SectionSpan(NamedTuple):
    """A section and its characters in the text."""

    section: Section
    start: int
    end: int


def joined_text(report: Report | str) -> str:
    """Return the text that the spans of a report count in: findings, blank line, impression."""
    if isinstance(report, str):
        return report
    return "\n\n".join(part for part in (report.findings, report.impression) if part.strip())


def sections_of(report: Report | str, lexicon: Lexicon) -> list[SectionSpan]:
    """Return the sections of a report, in order, without gaps.

    A plain text is read as findings until a header says otherwise. A text without any impression
    header that ends in quoted, bulleted or numbered items has those as its impression.
    """
    text = joined_text(report)
    if isinstance(report, Report):
        has_findings, has_impression = (
            bool(report.findings.strip()),
            bool(report.impression.strip()),
        )
        cut = len(report.findings) + 2 if has_findings and has_impression else 0
        cut = len(text) if not has_impression else cut
        parts = [(Section.FINDINGS, 0, cut), (Section.IMPRESSION, cut, len(text))]
        spans = [
            span for kind, start, end in parts for span in _headed(text, start, end, kind, lexicon)
        ]
    else:
        spans = _headed(text, 0, len(text), Section.FINDINGS, lexicon)
        if not any(span.section is Section.IMPRESSION for span in spans):
            spans = [part for span in spans for part in _with_listed_impression(text, span)]
    spans = [span for span in spans if text[span.start : span.end].strip()]
    return _with_findings(text, spans)


def _with_findings(text: str, spans: list[SectionSpan]) -> list[SectionSpan]:
    """Let the last section end after its first sentence where findings have no header of their own.

    "Comparison: none. The lungs are clear." would otherwise be a comparison alone.
    """
    if not spans or any(s.section in (Section.FINDINGS, Section.IMPRESSION) for s in spans):
        return spans
    *before, last = spans
    sentence = _FIRST_SENTENCE.search(text, last.start, last.end)
    if sentence is None:
        return spans
    cut = sentence.end()
    return [*before, last._replace(end=cut), SectionSpan(Section.FINDINGS, cut, last.end)]


def _headed(text: str, start: int, end: int, first: Section, lexicon: Lexicon) -> list[SectionSpan]:
    cuts: list[tuple[int, int, Section]] = [(start, start, first)]
    for match in _HEADER.finditer(text, start, end):
        section = _section_named(match[1], lexicon)
        if section is not None:
            cuts.append((match.start(), match.end(), section))
    ends = [cut[0] for cut in cuts[1:]] + [end]
    return [
        SectionSpan(section, begin, stop)
        for (_, begin, section), stop in zip(cuts, ends, strict=True)
    ]


def _section_named(header: str, lexicon: Lexicon) -> Section | None:
    name = " ".join(header.lower().split())
    return next(
        (Section(kind) for kind, names in lexicon.cues["section"].items() if name in names), None
    )


def _with_listed_impression(text: str, span: SectionSpan) -> list[SectionSpan]:
    if span.section is not Section.FINDINGS:
        return [span]
    starts = [
        m.start() for p in (_BULLETS, _NUMBERED) if (m := p.search(text, span.start, span.end))
    ]
    if not starts:
        return [span]
    cut = min(starts)
    return [span._replace(end=cut), SectionSpan(Section.IMPRESSION, cut, span.end)]

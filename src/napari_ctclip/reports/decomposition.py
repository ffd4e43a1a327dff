"""Decomposition: a report to sentences, anatomies and findings, by rules."""

from __future__ import annotations

from dataclasses import replace

from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.core.report import Report
from napari_ctclip.reports.lexicon import Lexicon, load_lexicon
from napari_ctclip.reports.reading import (
    NOT_ENGLISH,
    REPORT_KNOWN,
    Reading,
    read_sentence,
)
from napari_ctclip.reports.sections import joined_text, sections_of
from napari_ctclip.reports.sentences import sentence_spans
from napari_ctclip.reports.structure import (
    DecomposedReport,
    Measurement,
    Section,
    Sentence,
)

__all__ = ["decompose"]

_READ = (Section.FINDINGS, Section.IMPRESSION)


def decompose(report: Report | str, *, lexicon: Lexicon | None = None) -> DecomposedReport:
    """Return a report as sentences with their anatomies, findings and status.

    Parameters
    ----------
    report : Report or str
        Findings and impression, or one text in which headers (or a list at its end) part them.
    lexicon : Lexicon, optional
        The words; those of the package if left out.

    Notes
    -----
    Never raises on any text. A report in which no English sentence is recognised has a notice that
    says so, and no findings: it is not normal, it is unread.
    """
    words = load_lexicon() if lexicon is None else lexicon
    text = joined_text(report)
    sentences: list[Sentence] = []
    readings: list[Reading] = []
    for section, start, end in sections_of(report, words):
        carried: tuple[str, ...] = ()
        for span in sentence_spans(text, start, end):
            said = text[span[0] : span[1]]
            if section not in _READ:
                reason = f"{section} is not read"
                sentences.append(Sentence(section, said, span, reasons=(reason,)))
                continue
            reading = read_sentence(said, carried, words)
            carried = reading.sites
            readings.append(reading)
            sentences.append(_placed(reading, section, said, span))
    return _checked(DecomposedReport(text, tuple(sentences)), readings)


def _placed(reading: Reading, section: Section, said: str, span: tuple[int, int]) -> Sentence:
    start = span[0]
    return Sentence(
        section=section,
        text=said,
        span=span,
        anatomies=reading.anatomies,
        structures=reading.structures,
        findings=tuple(
            replace(m, span=(m.span[0] + start, m.span[1] + start)) for m in reading.findings
        ),
        status=reading.status,
        measurements=tuple(
            Measurement(m.millimetres, (m.span[0] + start, m.span[1] + start))
            for m in reading.measurements
        ),
        change=reading.change,
        reasons=reading.reasons,
    )


def _checked(report: DecomposedReport, readings: list[Reading]) -> DecomposedReport:
    """Return the report with a notice for what could not be read."""
    if not report.text.strip():
        return _unread(report, "empty-report", "the report is empty")
    foreign = sum(reading.reasons == (NOT_ENGLISH,) for reading in readings)
    known = sum(reading.words[0] for reading in readings)
    count = sum(reading.words[1] for reading in readings)
    if 2 * foreign >= len(readings) or known < REPORT_KNOWN * count:
        return _unread(report, "not-english", "no English sentences recognised; nothing was read")
    if foreign:
        message = (
            f"{foreign} of {len(readings)} sentences were not recognised as English and not read"
        )
        return replace(report, notices=(Notice(Severity.WARNING, "partly-english", message),))
    return report


def _unread(report: DecomposedReport, code: str, message: str) -> DecomposedReport:
    blank = tuple(
        Sentence(s.section, s.text, s.span, reasons=(NOT_ENGLISH,)) for s in report.sentences
    )
    return DecomposedReport(report.text, blank, (Notice(Severity.WARNING, code, message),))

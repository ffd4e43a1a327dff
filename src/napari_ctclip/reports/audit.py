"""Audit: a table of where every sentence went and why, as CSV and as one HTML page."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from napari_ctclip.io.files import replacing, write_text
from napari_ctclip.io.html_page import render_page
from napari_ctclip.reports.structure import Certainty, DecomposedReport, Sentence

__all__ = ["AuditRow", "audit_rows", "write_audit_csv", "write_audit_html"]


@dataclass(frozen=True)
class AuditRow:
    """One sentence in the audit table; several values in a cell are parted by "; "."""

    report: str
    number: int
    section: str
    sentence: str
    anatomies: str
    structures: str
    status: str
    findings: str
    sizes_mm: str
    change: str
    why_anatomies: str
    why_status: str
    why_findings: str


def audit_rows(report: DecomposedReport, identifier: str) -> list[AuditRow]:
    """Return one row a sentence; a report nothing was read from has one with its notice."""
    rows = [
        _row(identifier, number, sentence)
        for number, sentence in enumerate(report.sentences, start=1)
    ]
    notices = "; ".join(notice.message for notice in report.notices)
    if notices:
        rows.append(
            AuditRow(
                identifier, 0, "notice", notices, "", "", "unread", "", "", "", notices, notices, ""
            )
        )
    return rows


def write_audit_csv(rows: Iterable[AuditRow], file: Path) -> None:
    """Write the table as UTF-8 CSV."""
    names = [field.name for field in fields(AuditRow)]
    with replacing(file) as partial, partial.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(names)
        writer.writerows([getattr(row, name) for name in names] for row in rows)


def write_audit_html(rows: Sequence[AuditRow], file: Path, *, most: int = 5000) -> None:
    """Write the table as one HTML page that needs no other file.

    Parameters
    ----------
    rows : sequence of AuditRow
        The table.
    file : Path
        Where to.
    most : int
        Rows shown; a browser is slow with more. The page says how many were left to the CSV.
    """
    page = render_page(
        "napari_ctclip.reports",
        "audit.html.jinja",
        rows=rows[:most],
        left_out=max(0, len(rows) - most),
        sentences=sum(row.number > 0 for row in rows),
        reports=len({row.report for row in rows}),
        unread=[row for row in rows if row.status == "unread"][:200],
        anatomies=_counts(row.anatomies for row in rows),
        findings=_counts(row.findings for row in rows),
    )
    write_text(file, page)


def _row(identifier: str, number: int, sentence: Sentence) -> AuditRow:
    reasons = (*sentence.reasons, "", "")
    return AuditRow(
        report=identifier,
        number=number,
        section=str(sentence.section),
        sentence=" ".join(sentence.text.split()),
        anatomies="; ".join(sentence.anatomies),
        structures="; ".join(sentence.structures),
        status=str(sentence.status),
        findings="; ".join(f"{_MARK[m.certainty]} {m.name}" for m in sentence.findings),
        sizes_mm="; ".join(
            " x ".join(f"{length:g}" for length in m.millimetres) for m in sentence.measurements
        ),
        change=str(sentence.change or ""),
        why_anatomies=reasons[0],
        why_status=reasons[1],
        why_findings="; ".join(f"{m.name}: {m.reason}" for m in sentence.findings),
    )


_MARK = {Certainty.PRESENT: "+", Certainty.UNCERTAIN: "?", Certainty.ABSENT: "−"}


def _counts(cells: Iterable[str]) -> list[tuple[str, int]]:
    counter = Counter(part for cell in cells for part in cell.split("; ") if part)
    return counter.most_common(40)

"""``napari-ctclip read-report``: what a CT says to each sentence of a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_ctclip.cli import terminal
from napari_ctclip.cli.scan import ScanOptions, takes_scan
from napari_ctclip.core.errors import DataError

if TYPE_CHECKING:
    from rich.table import Table

    from napari_ctclip.session.report_reading import ReadReport, ReportLine

__all__ = ["read_report"]

_COLUMNS = (
    "sentence", "finding", "certainty", "verdict", "anatomy", "probability", "similarity",
    "peak_x_mm", "peak_y_mm", "peak_z_mm", "why",
)  # fmt: skip


@takes_scan()
def read_report(
    scan: ScanOptions,
    report: Annotated[Path, typer.Argument(help="Report, a UTF-8 text file.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="CSV to write; it holds the report's sentences.")
    ] = None,
) -> None:
    """Score every sentence of a report in its organ, and mark those the scan does not support."""
    from napari_ctclip.io.template_files import read_templates
    from napari_ctclip.session.report_reading import read_report as read

    text, templates = _text_of(report), read_templates(scan.templates)
    session = scan.open()
    scan.encode(session, [templates])
    session.set_templates(templates)
    found = read(session, text)
    terminal.print_notices(found.notices)
    if out is not None:
        _write(found, out)
    terminal.show(_table(found))
    terminal.say(
        f"{len(found.lines)} lines, {len(found.conflicts)} in which scan and report disagree. "
        "Similarity is relative to this scan, not a probability of disease."
    )


def _text_of(report: Path) -> str:
    try:
        text = report.read_text("utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{report}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{report}: not a readable UTF-8 text file: {error}") from error
    if not text.strip():
        raise DataError(f"{report}: the report is empty; write at least one sentence into it")
    return text


def _table(read: ReadReport) -> Table:
    from rich.table import Table

    from napari_ctclip.core.anatomy import anatomy_label

    table = Table("verdict", "finding", "where", "prob.", "peak (mm)", "sentence")
    for line in read.lines:
        cells = _cells(line)
        peak = " ".join(cells[7:10])
        where = anatomy_label(cells[4]) if cells[4] else ""
        mark = "! " if line.verdict.is_conflict else ""
        table.add_row(f"{mark}{line.verdict}", cells[1], where, cells[5], peak, line.sentence)
    return table


def _cells(line: ReportLine) -> tuple[str, ...]:
    score, certainty = line.score, line.certainty or ""
    numbers: tuple[str, ...] = ("",) * 6
    if score is not None:
        peak = tuple(f"{mm:.1f}" for mm in score.peak.world_mm)
        values = (f"{score.probability:.3f}", f"{score.similarity:.4f}")
        numbers = (score.anatomy, *values, *peak)
    return (line.sentence, line.finding, str(certainty), str(line.verdict), *numbers, line.why)


def _write(read: ReadReport, file: Path) -> None:
    from napari_ctclip.io.csv_tables import write_csv_table

    write_csv_table(file, _COLUMNS, map(_cells, read.lines))

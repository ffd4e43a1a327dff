"""``napari-ctclip read-report``: what a CT says to each sentence of a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from napari_ctclip.cli import terminal
from napari_ctclip.cli.scan import (
    QUICK_MASKS,
    CtArgument,
    DeviceOption,
    LegendOption,
    MasksOption,
    ModelOption,
    SeriesOption,
    SuspiciousOption,
    TemplatesOption,
    load_and_encode,
    open_session,
)
from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.errors import DataError
from napari_ctclip.core.template_set import AS_TYPED
from napari_ctclip.io.template_files import read_templates

if TYPE_CHECKING:
    from napari_ctclip.session.report_reading import ReadReport, ReportLine

__all__ = ["read_report_of"]

_COLUMNS = (
    "sentence", "finding", "certainty", "verdict", "anatomy", "probability", "similarity",
    "peak_x_mm", "peak_y_mm", "peak_z_mm", "why",
)  # fmt: skip


def read_report_of(
    ct: CtArgument,
    report: Annotated[Path, typer.Argument(help="Report, a UTF-8 text file.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="CSV to write; it holds the report's sentences.")
    ] = None,
    series: SeriesOption = None,
    masks: MasksOption = QUICK_MASKS,
    legend: LegendOption = None,
    accept_suspicious: SuspiciousOption = False,
    templates: TemplatesOption = AS_TYPED.name,
    model: ModelOption = "starter",
    device: DeviceOption = "auto",
) -> None:
    """Score every sentence of a report in its organ, and mark those the scan does not support."""
    with terminal.data_errors():
        from napari_ctclip.session.report_reading import read_report

        text, wording = _text_of(report), read_templates(templates)
        session = open_session(
            ct,
            series=series,
            accept_suspicious=accept_suspicious,
            masks=masks,
            legend=legend,
            device=device,
        )
        load_and_encode(session, model, [wording])
        session.set_templates(wording)
        read = read_report(session, text)
        terminal.print_notices(read.notices)
        if out is not None:
            _write(read, out)
    terminal.out.print(_table(read))
    terminal.out.print(
        f"{len(read.lines)} lines, {len(read.conflicts)} in which scan and report disagree. "
        "Similarity is relative to this scan, not a probability of disease.",
        markup=False,
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
        peak = tuple(f"{place:.1f}" for place in score.peak.world_mm)
        values = (f"{score.probability:.3f}", f"{score.similarity:.4f}")
        numbers = (score.anatomy, *values, *peak)
    return (line.sentence, line.finding, str(certainty), str(line.verdict), *numbers, line.why)


def _write(read: ReadReport, file: Path) -> None:
    from napari_ctclip.io.csv_tables import write_csv_table

    try:
        write_csv_table(file, _COLUMNS, map(_cells, read.lines))
    except OSError as error:
        raise DataError(f"{file}: cannot be written: {error.strerror or error}") from error

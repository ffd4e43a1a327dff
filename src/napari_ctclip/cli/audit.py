"""``napari-ctclip models audit``: what a model will see of a scan, and what encoding takes."""

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
    open_session,
)

if TYPE_CHECKING:
    from napari_ctclip.audit.study_check import StudyCheck

__all__ = ["audit_scan"]


def audit_scan(
    ct: CtArgument,
    out: Annotated[
        Path | None, typer.Option(help="Folder for audit.png: what the model sees.")
    ] = None,
    series: SeriesOption = None,
    masks: MasksOption = QUICK_MASKS,
    legend: LegendOption = None,
    accept_suspicious: SuspiciousOption = False,
    model: ModelOption = "starter",
    device: DeviceOption = "auto",
) -> None:
    """Show what a model will see of a scan and what encoding takes, without encoding it."""
    with terminal.data_errors():
        session = open_session(
            ct,
            series=series,
            accept_suspicious=accept_suspicious,
            masks=masks,
            legend=legend,
            device=device,
        )
        session.load_model(model)
        with terminal.err.status("auditing ..."):
            check = session.compute_check()
        terminal.print_notices(check.notices)
        terminal.out.print(_table(check))
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            (out / "audit.png").write_bytes(check.picture)
            terminal.out.print(f"{out / 'audit.png'}", markup=False)


def _table(check: StudyCheck) -> Table:
    table = Table("", "in the scan", f"for {check.audit.model_name}", title_justify="left")
    for row in check.rows():
        table.add_row(row.what, row.found, row.used)
    return table

"""``napari-ctclip models audit``: what a model will see of a scan, and what encoding takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_ctclip.cli import terminal
from napari_ctclip.cli.scan import ScanOptions, takes_scan

if TYPE_CHECKING:
    from rich.table import Table

    from napari_ctclip.audit.study_check import StudyCheck

__all__ = ["audit_scan"]


@takes_scan(without=("templates",))
def audit_scan(
    scan: ScanOptions,
    out: Annotated[
        Path | None, typer.Option(help="Folder for audit.png: what the model sees.")
    ] = None,
) -> None:
    """Show what a model will see of a scan and what encoding takes, without encoding it."""
    session = scan.open()
    session.load_model(scan.model)
    with terminal.error_console().status("auditing ..."):
        check = session.compute_check()
    terminal.print_notices(check.notices)
    terminal.show(_table(check))
    if out is not None:
        from napari_ctclip.io.files import write_bytes

        terminal.say(str(write_bytes(out / "audit.png", check.picture)))


def _table(check: StudyCheck) -> Table:
    from rich.table import Table

    table = Table("", "in the scan", f"for {check.audit.model_name}", title_justify="left")
    for row in check.rows():
        table.add_row(row.what, row.found, row.used)
    return table

"""``napari-ctclip organs``: which organ a model calls each organ of the masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_ctclip.cli import terminal
from napari_ctclip.cli.scan import ScanOptions, takes_scan
from napari_ctclip.core.notice import Notice, Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from napari_ctclip.core.organ_naming import OrganNaming

__all__ = ["organs"]

_UNTRAINED = Notice(
    Severity.INFO,
    "no-organ-names",
    "this model was not trained with organ names: its similarity to the names of the masks' "
    "organs was never trained",
)


@takes_scan(without=("templates",))
def organs(scan: ScanOptions) -> None:
    """Let a model name each organ of the masks, zero-shot, and mark where mask and model differ."""
    from napari_ctclip.scoring.organ_naming import trained_names
    from napari_ctclip.session.organ_readout import agreement_words, read_organ_names

    session = scan.open()
    ready = scan.encode(session)
    namings = read_organ_names(session)
    if not trained_names(ready.model):
        terminal.print_notices([_UNTRAINED])
    terminal.show(_table(namings))
    terminal.say(agreement_words(namings))


def _table(namings: Sequence[OrganNaming]) -> Table:
    from rich.table import Table

    from napari_ctclip.core.anatomy import anatomy_label
    from napari_ctclip.session.organ_readout import naming_mark, naming_words

    table = Table(box=None, pad_edge=False)
    for title in ("mask", "model calls it", "most similar names"):
        table.add_column(title)
    for naming in namings:
        table.add_row(anatomy_label(naming.region), naming_mark(naming), naming_words(naming))
    return table

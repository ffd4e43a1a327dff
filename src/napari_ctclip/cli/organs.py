"""``napari-ctclip organs``: which organ a model calls each organ of the masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    load_and_encode,
    open_session,
)
from napari_ctclip.core.notice import Notice, Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_ctclip.core.organ_naming import OrganNaming

__all__ = ["organs"]

_UNTRAINED = Notice(
    Severity.INFO,
    "no-organ-names",
    "this model was not trained with organ names: it is asked for the organs of the masks, "
    "and nobody taught it to tell them apart",
)


def organs(
    ct: CtArgument,
    series: SeriesOption = None,
    masks: MasksOption = QUICK_MASKS,
    legend: LegendOption = None,
    accept_suspicious: SuspiciousOption = False,
    model: ModelOption = "starter",
    device: DeviceOption = "auto",
) -> None:
    """Let a model name each organ of the masks, zero-shot, and mark where mask and model differ."""
    with terminal.data_errors():
        from napari_ctclip.scoring.organ_naming import trained_names
        from napari_ctclip.session.organ_readout import agreement_words, read_organ_names

        session = open_session(
            ct,
            series=series,
            accept_suspicious=accept_suspicious,
            masks=masks,
            legend=legend,
            device=device,
        )
        scan = load_and_encode(session, model)
        namings = read_organ_names(session)
        if not trained_names(scan.model):
            terminal.print_notices([_UNTRAINED])
    terminal.out.print(_table(namings))
    terminal.out.print(agreement_words(namings), markup=False)


def _table(namings: Sequence[OrganNaming]) -> Table:
    from napari_ctclip.core.anatomy import anatomy_label
    from napari_ctclip.session.organ_readout import naming_mark, naming_words

    table = Table(box=None, pad_edge=False)
    for title in ("mask", "model calls it", "most similar names"):
        table.add_column(title)
    for naming in namings:
        table.add_row(anatomy_label(naming.region), naming_mark(naming), naming_words(naming))
    return table

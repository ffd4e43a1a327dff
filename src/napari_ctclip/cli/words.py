"""``napari-ctclip words``: where chosen words of a text are in a CT."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.table import Table

from napari_ctclip.cli import terminal
from napari_ctclip.cli.scan import (
    NO_MASKS,
    CtArgument,
    DeviceOption,
    ModelOption,
    SeriesOption,
    SuspiciousOption,
    load_and_encode,
    open_session,
)
from napari_ctclip.core.errors import DataError
from napari_ctclip.core.prompt import Prompt

if TYPE_CHECKING:
    from napari_ctclip.session.word_reading import WordMap

__all__ = ["words"]

_PUNCTUATION = ".,;:!?()[]\"'“”"
_MOST = 5  # places printed


def words(
    ct: CtArgument,
    text: Annotated[str, typer.Argument(help="A finding or a sentence.", show_default=False)],
    word: Annotated[list[str], typer.Option(help="A word of it, as it stands there; repeatable.")],
    out: Annotated[
        Path | None, typer.Option(help="NIfTI to write: the map on the scan's grid.")
    ] = None,
    series: SeriesOption = None,
    accept_suspicious: SuspiciousOption = False,
    model: ModelOption = "starter",
    device: DeviceOption = "auto",
) -> None:
    """Map words of a text: their attention (lrclr), or what the text's map loses without them."""
    if out is not None and not out.name.endswith((".nii", ".nii.gz")):
        raise typer.BadParameter(f"--out {str(out)!r} needs a name that ends in .nii.gz or .nii")
    with terminal.data_errors():
        from napari_ctclip.io.export.exports import write_heatmap
        from napari_ctclip.session.word_reading import read_words

        prompt = Prompt(text)
        chosen = _places_of(word, prompt.positive)
        session = open_session(
            ct,
            series=series,
            accept_suspicious=accept_suspicious,
            masks=NO_MASKS,
            legend=None,
            device=device,
        )
        scan = load_and_encode(session, model)
        read = read_words(session, prompt, chosen)
        if out is not None:
            told = f"napari-ctclip words ({read.kind.value})"
            write_heatmap(read.found, scan.study.volume, out, description=told)
    terminal.out.print(f"“{read.phrase.said}” of “{read.phrase.text}”", markup=False)
    terminal.out.print(read.kind.explanation, markup=False)
    terminal.out.print(_table(read))
    if read.even_share:
        terminal.out.print(f"An even share would be {read.even_share:.4f}.", markup=False)
    if out is not None:
        terminal.out.print(f"  {out}", markup=False)


def _places_of(wanted: Sequence[str], text: str) -> list[int]:
    """Return where the wanted words stand in a text, each as often as it is there."""
    bare = [word.strip(_PUNCTUATION).lower() for word in text.split()]
    missing = [word for word in wanted if word.strip(_PUNCTUATION).lower() not in bare]
    if missing:
        raise DataError(
            f"--word {missing[0]!r} is no word of “{text}”; take one as it stands there, e.g. "
            f"{text.split()[0]!r}"
        )
    named = {word.strip(_PUNCTUATION).lower() for word in wanted}
    return [place for place, word in enumerate(bare) if word in named]


def _table(read: WordMap) -> Table:
    """Return the tokens where the words are found most."""
    values, grid = read.found.values, read.found.geometry
    order = np.argsort(-np.nan_to_num(values.ravel(), nan=-np.inf), kind="stable")[:_MOST]
    table = Table(box=None, pad_edge=False)
    for title in ("place", read.kind.value, "x mm", "y mm", "z mm"):
        table.add_column(title, justify="right")
    for rank, token in enumerate(order.tolist(), start=1):
        index = np.unravel_index(token, grid.shape)
        x, y, z = grid.index_to_world(np.asarray(index)).tolist()
        table.add_row(str(rank), f"{values[index]:+.4f}", *(f"{mm:.0f}" for mm in (x, y, z)))
    return table

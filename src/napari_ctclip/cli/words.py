"""``napari-ctclip words``: where chosen words of a text are in a CT."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_ctclip.cli import terminal
from napari_ctclip.cli.scan import ScanOptions, takes_scan
from napari_ctclip.core.errors import DataError

if TYPE_CHECKING:
    from rich.table import Table

    from napari_ctclip.session.word_reading import WordMap

__all__ = ["words"]

_PUNCTUATION = ".,;:!?()[]\"'“”"
_MOST = 5  # tokens printed


@takes_scan(without=("masks", "legend", "templates"))
def words(
    scan: ScanOptions,
    text: Annotated[str, typer.Argument(help="A finding or a sentence.", show_default=False)],
    word: Annotated[list[str], typer.Option(help="A word of it, as it stands there; repeatable.")],
    out: Annotated[
        Path | None, typer.Option(help="NIfTI to write: the map on the scan's grid.")
    ] = None,
) -> None:
    """Map words of a text: their attention (lrclr), or what the text's map loses without them."""
    if out is not None and not out.name.endswith((".nii", ".nii.gz")):
        raise typer.BadParameter(f"--out {str(out)!r} needs a name that ends in .nii.gz or .nii")

    from napari_ctclip.core.prompt import Prompt
    from napari_ctclip.io.export.exports import write_heatmap
    from napari_ctclip.session.word_reading import read_words

    prompt = Prompt(text)
    chosen = _positions_of(word, prompt.positive)
    session = scan.open(with_masks=False)
    ready = scan.encode(session)
    read = read_words(session, prompt, chosen)
    if out is not None:
        made_by = f"napari-ctclip words ({read.kind.value})"
        write_heatmap(read.found, ready.study.volume, out, description=made_by)
    terminal.say(f"“{read.phrase.said}” of “{read.phrase.text}”")
    terminal.say(read.kind.explanation)
    terminal.show(_table(read))
    if read.even_share:
        terminal.say(f"An even share would be {read.even_share:.4f}.")
    if out is not None:
        terminal.say(f"  {out}")


def _positions_of(wanted: Sequence[str], text: str) -> list[int]:
    """Return where the wanted words stand in a text, each as often as it is there."""
    bare = [word.strip(_PUNCTUATION).lower() for word in text.split()]
    missing = [word for word in wanted if word.strip(_PUNCTUATION).lower() not in bare]
    if missing:
        raise DataError(
            f"--word {missing[0]!r} is no word of “{text}”; take one as it stands there, e.g. "
            f"{text.split()[0]!r}"
        )
    named = {word.strip(_PUNCTUATION).lower() for word in wanted}
    return [position for position, word in enumerate(bare) if word in named]


def _table(read: WordMap) -> Table:
    """Return the tokens where the words are found most."""
    import numpy as np
    from rich.table import Table

    values, grid = read.found.values, read.found.geometry
    order = np.argsort(-np.nan_to_num(values.ravel(), nan=-np.inf), kind="stable")[:_MOST]
    table = Table(box=None, pad_edge=False)
    for title in ("rank", read.kind.value, "x mm", "y mm", "z mm"):
        table.add_column(title, justify="right")
    for rank, token in enumerate(order.tolist(), start=1):
        index = np.unravel_index(token, grid.shape)
        x, y, z = grid.index_to_world(np.asarray(index)).tolist()
        table.add_row(str(rank), f"{values[index]:+.4f}", *(f"{mm:.0f}" for mm in (x, y, z)))
    return table

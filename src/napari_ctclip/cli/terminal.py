"""Terminal: what the command lines print, and how they end on data that cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from napari_ctclip.core.errors import CtClipError, SeriesChoiceNeeded
from napari_ctclip.core.notice import Notice

__all__ = [
    "EXIT_BAD_DATA",
    "data_errors",
    "err",
    "out",
    "print_notices",
    "progress_bar",
    "rows_and_columns",
]

EXIT_BAD_DATA = 3

err = Console(stderr=True, highlight=False, soft_wrap=True)
out = Console(highlight=False, soft_wrap=True)


@contextmanager
def data_errors() -> Iterator[None]:
    """Turn what this package refuses into one line and exit code 3."""
    try:
        yield
    except SeriesChoiceNeeded as error:
        err.print(f"error: {error}", markup=False)
        for number, line in enumerate(error.choices, start=1):
            err.print(f"  --series {number}   {line}", markup=False)
        raise typer.Exit(EXIT_BAD_DATA) from None
    except CtClipError as error:
        err.print(f"error: {error}", markup=False)
        raise typer.Exit(EXIT_BAD_DATA) from None


def print_notices(notices: Iterable[Notice]) -> None:
    """Print every notice on standard error."""
    for notice in notices:
        err.print(str(notice), markup=False)


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar for work that tells how far it is; give the function it tells."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def rows_and_columns(text: str) -> tuple[int, int]:
    """Return the two numbers of a grid of tiles as it is typed, e.g. "4x4".

    Raises
    ------
    typer.BadParameter
        If it is none.
    """
    rows, cross, columns = text.lower().partition("x")
    if not (cross and rows.isdecimal() and columns.isdecimal() and int(rows) * int(columns)):
        raise typer.BadParameter(f"--grid {text!r} is not rows x columns, e.g. 4x4")
    return int(rows), int(columns)

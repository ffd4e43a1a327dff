"""Terminal: what the command lines print."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress

    from napari_ctclip.core.notice import Notice

__all__ = [
    "bar",
    "error_console",
    "print_notices",
    "progress_bar",
    "rows_and_columns",
    "say",
    "show",
    "warn",
]


def say(text: str) -> None:
    """Print a line of the result."""
    typer.echo(text)


def warn(text: str) -> None:
    """Print a line on standard error, beside the result."""
    typer.echo(text, err=True)


def show(drawn: RenderableType) -> None:
    """Print a table of the result, as wide as its content asks."""
    from rich.console import Console

    Console(highlight=False, markup=False, soft_wrap=True).print(drawn)


def print_notices(notices: Iterable[Notice]) -> None:
    """Print every notice on standard error."""
    for notice in notices:
        warn(str(notice))


@cache
def error_console() -> Console:
    """Return the console of standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar for work that reports how far it is; give the function that it calls."""
    with bar() as shown:
        task = shown.add_task(title, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)


def bar(*, counts: bool = False, disable: bool = False) -> Progress:
    """Return a bar on standard error that goes when it is done.

    Parameters
    ----------
    counts : bool
        Whether it says how many of how many are done.
    disable : bool
        Whether nothing is drawn.
    """
    from rich import progress

    counted = (progress.MofNCompleteColumn(),) if counts else ()
    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        *counted,
        progress.TimeRemainingColumn(),
        console=error_console(),
        transient=True,
        disable=disable,
    )


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

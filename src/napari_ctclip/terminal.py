"""Terminal: what the command lines print, and how they end on data that cannot be used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import typer
from rich.console import Console

from napari_ctclip.core.errors import CtClipError, SeriesChoiceNeeded
from napari_ctclip.core.notice import Notice

__all__ = ["EXIT_BAD_DATA", "data_errors", "err", "out", "print_notices"]

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


def print_notices(notices: Sequence[Notice]) -> None:
    """Print every notice on standard error."""
    for notice in notices:
        err.print(str(notice), markup=False)

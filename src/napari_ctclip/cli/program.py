"""What both programs share: exit codes, the version, old spellings, errors in one line.

Exit codes: 0 done, 1 declined by the user, 2 a bad command, 3 data that cannot be used, 130
stopped.
"""

from __future__ import annotations

import errno
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from napari_ctclip import __version__
from napari_ctclip.core.errors import CtClipError, SeriesChoiceNeeded

__all__ = ["EXIT_BAD_DATA", "EXIT_STOPPED", "VersionOption", "make_program"]

EXIT_BAD_DATA = 3
EXIT_STOPPED = 130  # what shells give for an interrupt

_REFUSALS_OF_A_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)

# spellings of the last version, understood for one more
_COMMANDS = {"erase": "occlude", "deletion-curve": "deletion-test"}
_OPTIONS = {("measure", "--cut"): "--threshold"}


class _Program(TyperGroup):
    """A program: what the package refuses ends in one line on standard error and one exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; what it refuses is printed."""
        try:
            return super().invoke(ctx)
        except SeriesChoiceNeeded as error:
            typer.echo(f"error: {error}", err=True)
            for number, line in enumerate(error.choices, start=1):
                typer.echo(f"  --series {number}   {line}", err=True)
        except CtClipError as error:
            typer.echo(f"error: {error}", err=True)
        except OSError as error:
            if error.errno not in _REFUSALS_OF_A_DISK:
                raise
            typer.echo(f"error: {error.filename}: cannot be written ({error.strerror})", err=True)
        except KeyboardInterrupt:
            typer.echo("stopped", err=True)
            raise typer.Exit(EXIT_STOPPED) from None
        raise typer.Exit(EXIT_BAD_DATA)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find a command by its name, or by the one that it had."""
        return super().resolve_command(ctx, _with_new_words(args))


def make_program(name: str, *, help_text: str) -> typer.Typer:
    """Return a program without commands."""
    return typer.Typer(
        name=name,
        help=help_text,
        cls=_Program,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"max_content_width": 100},
        rich_markup_mode=None,  # boxes around the help would be a third of its time
    )


def _with_new_words(args: list[str]) -> list[str]:
    """Return a command line with the words of this version; those of the last are remarked."""
    if not args:
        return args
    command = _renamed(args[0], _COMMANDS.get(args[0]))
    words = [command]
    for word in args[1:]:
        option, equals, value = word.partition("=")
        words.append(_renamed(option, _OPTIONS.get((command, option))) + equals + value)
    return words


def _renamed(old: str, new: str | None) -> str:
    if new is None:
        return old
    typer.echo(f"note: {old} is now called {new}; the old name will go", err=True)
    return new


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"napari-ctclip {__version__}")
        raise typer.Exit


VersionOption = Annotated[
    bool,
    typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
]

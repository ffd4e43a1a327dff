"""Messages: the one line the user reads after every action, and the border where errors stop."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from psygnal import Signal

from napari_ctclip.core.errors import Cancelled, CtClipError, NotEncoded, NothingOpen

__all__ = ["Message", "MessageAction", "MessageSeverity", "Messages"]

MessageSeverity = Literal["info", "warning", "error"]

_LOG = logging.getLogger(__name__)

_WHERE: dict[type[CtClipError], str] = {
    NothingOpen: "in the Data tab",
    NotEncoded: "press Encode in the Explore tab, or wait until it is done",
}
"""Where in the window one does what an error asks for: what raises it knows no window."""


@dataclass(frozen=True, eq=False)
class MessageAction:
    """What a button beside a message does.

    Attributes
    ----------
    text : str
        On the button.
    tooltip : str
        What it does, in full.
    act : callable
        Called when it is pressed.
    """

    text: str
    tooltip: str
    act: Callable[[], None]


@dataclass(frozen=True)
class Message:
    """One line for the user.

    Attributes
    ----------
    severity : {"info", "warning", "error"}
        Shown as an icon with the word.
    text : str
        The line.
    details : str
        The traceback of an unexpected error, for a bug report; empty for expected ones.
    action : MessageAction or None
        What may be done next.
    """

    severity: MessageSeverity
    text: str
    details: str = ""
    action: MessageAction | None = None


class Messages:
    """Where every part of the window says what happened."""

    told = Signal(Message)

    def info(self, text: str, *, action: MessageAction | None = None) -> None:
        """Tell what was done, or is being done, and what may be done next."""
        self.told.emit(Message("info", text, action=action))

    def warning(self, text: str) -> None:
        """Tell that an answer may be worse than expected, and why."""
        self.told.emit(Message("warning", text))

    def error(self, error: BaseException, details: str = "") -> None:
        """Tell what went wrong: one line; details only where we did not foresee it."""
        if isinstance(error, Cancelled):
            self.info(str(error))
        elif isinstance(error, CtClipError):
            where = _WHERE.get(type(error))
            self.told.emit(Message("error", f"{error} ({where})" if where else str(error)))
        else:
            _LOG.error("unexpected error\n%s", details)
            kind = type(error).__name__
            self.told.emit(Message("error", f"Unexpected {kind}: {error}", details or kind))

    @contextmanager
    def border(self) -> Iterator[None]:
        """Show whatever a GUI action raises inside; nothing leaves."""
        try:
            yield
        except Exception as error:  # the GUI border: whatever it is, the user reads it
            self.error(error, traceback.format_exc())

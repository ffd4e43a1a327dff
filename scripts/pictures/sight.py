"""Sight: which widgets a person at the window can see, and what they are called."""

from __future__ import annotations

from typing import Any

from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QScrollArea, QWidget

__all__ = ["NotThereError", "label", "scroll_to", "visible"]


class NotThereError(AssertionError):
    """What a person would look for cannot be seen, or cannot be reached with the mouse."""


def visible(name: str, kind: type[QWidget] = QWidget) -> Any:
    """Return the visible widget with this text, accessible name or placeholder.

    Raises
    ------
    NotThereError
        If there is none.
    """
    widgets = (w for w in QApplication.allWidgets() if isinstance(w, kind))
    seen = [w for w in widgets if w.isVisible() and name in _names(w)]
    if not seen:
        raise NotThereError(f"no visible {kind.__name__} “{name}”")
    return seen[-1]


def scroll_to(widget: QWidget) -> None:
    """Scroll whatever a widget lies in, so that it is seen."""
    above = widget.parentWidget()
    while above is not None:
        if isinstance(above, QScrollArea):
            above.ensureWidgetVisible(widget)
            QTest.qWait(20)
        above = above.parentWidget()


def label(widget: QWidget | None) -> str:
    """Return what a widget is called, for a message."""
    if widget is None:
        return "nothing"
    return next(iter(sorted(_names(widget))), type(widget).__name__)


def _names(widget: Any) -> set[str]:
    found = {widget.accessibleName()}
    for getter in ("text", "placeholderText", "title", "windowTitle"):
        reader = getattr(widget, getter, None)
        if callable(reader):
            try:
                found.add(reader())
            except TypeError:  # a method of that name with arguments
                continue
    return {name for name in found if name}

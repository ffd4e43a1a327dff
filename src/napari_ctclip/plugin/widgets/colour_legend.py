"""Colour legend: what the colours of a map mean, in a line each."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

__all__ = ["PLATE", "ColourLegend", "Entry", "swatch"]

Entry = tuple[str, str, str]
"""A colour, its name, and what it means."""

PLATE = "#000000"
"""Behind a colour of the picture, as the picture is: bright colours fade on a light panel."""


def swatch(colour: str) -> str:
    """Return a square of a colour of the picture, ``"#rrggbb"``, for rich text."""
    return f'<span style="color: {colour}; background-color: {PLATE}">&nbsp;■&nbsp;</span>'


class ColourLegend(QLabel):
    """A legend that is seen while there are colours to explain.

    Parameters
    ----------
    name : str
        Its accessible name.
    parent : QWidget or None
        The panel.
    """

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.RichText)
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.hide()

    def explain(self, entries: Iterable[Entry], note: str = "") -> None:
        """Show what each colour means, and a note under them; hide if there is none."""
        lines = [f"{swatch(colour)} {name}: {escape(meaning)}" for colour, name, meaning in entries]
        self.setText("<br>".join([*lines, escape(note)] if note else lines))
        self.setVisible(bool(lines))

"""Panel parts: what every tab and dock is laid out with."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QPushButton, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

__all__ = ["push_button", "scrolled", "sentence", "tab_layout"]


def tab_layout(tab: QWidget, *, spacing: int = 6) -> QVBoxLayout:
    """Return the layout of a tab: its parts stand one below the other, ``spacing`` pixels apart."""
    layout = QVBoxLayout(tab)
    layout.setContentsMargins(4, 6, 4, 4)
    layout.setSpacing(spacing)
    return layout


def scrolled(tab: QWidget) -> QScrollArea:
    """Return an area as wide as there is room, which scrolls what is higher than the window."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QScrollArea.Shape.NoFrame)
    area.setWidget(tab)
    return area


def push_button(title: str, tooltip: str) -> QPushButton:
    """Return a button that says what it does."""
    made = QPushButton(title)
    made.setToolTip(tooltip)
    return made


def sentence(text: str = "", spoken: str = "", *, selectable: bool = False) -> QLabel:
    """Return text that wraps at the width there is and asks for none.

    Parameters
    ----------
    text : str
        Of now.
    spoken : str
        What it tells, for those who do not see where it stands.
    selectable : bool
        Whether the mouse can select it, to copy it.
    """
    label = QLabel(text)
    label.setWordWrap(True)
    if spoken:
        label.setAccessibleName(spoken)
    if selectable:
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    # no Minimum: that asks for the height of a narrower text than the panel's
    policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    policy.setHeightForWidth(True)
    label.setSizePolicy(policy)
    return label

"""Fold: a part of the panel under a heading that opens and closes it."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QSizePolicy, QToolButton, QVBoxLayout, QWidget

__all__ = ["Fold"]

_OPEN, _CLOSED = "▼", "▶"  # in the heading's own colour: Qt's arrows are black in every theme


class Fold(QWidget):
    """A heading, and a part that is shown while there is room, until the user decides.

    Parameters
    ----------
    title : str
        The heading.
    part : QWidget
        What it opens and closes.
    parent : QWidget or None
        Where it stands.
    """

    def __init__(self, title: str, part: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title, self._part = title, part
        self._is_chosen = False  # by the user
        self.heading = QToolButton()
        self.heading.setCheckable(True)
        self.heading.setToolTip(f"Show or hide: {title}")
        self.heading.setAccessibleName(title)
        self.heading.setStyleSheet("QToolButton { background: transparent; padding: 2px; }")
        self.heading.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.heading.clicked.connect(self._choose)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.heading)
        layout.addWidget(part, 1)
        self._open(True)

    @property
    def is_open(self) -> bool:
        """Whether the part is shown."""
        return self.heading.isChecked()

    def make_room(self, spare: int) -> None:
        """Open or close by the room there is, unless the user has decided.

        Parameters
        ----------
        spare : int
            Pixels of height that nothing needs, the part as it is now; less than 0: too little.
        """
        if self._is_chosen:
            return
        needed = self._part.minimumSizeHint().expandedTo(self._part.minimumSize()).height()
        if self.is_open and spare < 0:
            self._open(False)
        elif not self.is_open and spare >= needed + 2:
            self._open(True)

    def _choose(self, is_open: bool) -> None:
        self._is_chosen = True
        self._open(is_open)

    def _open(self, is_open: bool) -> None:
        self.heading.setChecked(is_open)
        self.heading.setText(f"{_OPEN if is_open else _CLOSED}  {self._title}")
        self._part.setVisible(is_open)
        policies = QSizePolicy.Policy  # closed, it leaves what it had to the others
        self.setSizePolicy(policies.Expanding, policies.Preferred if is_open else policies.Fixed)

"""How asked: what the selected prompt is held against, and the wording of all prompts."""

from __future__ import annotations

from qtpy.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QWidget

from napari_ctclip.plugin.prompts.phrasing_box import PhrasingBox
from napari_ctclip.plugin.prompts.prompt_table import COLUMNS, PromptRow
from napari_ctclip.plugin.shell.workbench import Workbench

__all__ = ["HowAsked"]

_NEGATIVE_COLUMN = COLUMNS.index("Negative")


class HowAsked(QWidget):
    """One line below the table of prompts.

    Parameters
    ----------
    workbench : Workbench
        Whose prompts they are.
    parent : QWidget or None
        The tab.
    """

    def __init__(self, workbench: Workbench, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bench = workbench
        self._positive = ""
        self.negative = QLineEdit()
        self.negative.setToolTip("What the selected prompt is held against; Enter asks again")
        self.negative.setAccessibleName("Negative prompt")
        self.negative.editingFinished.connect(self._on_edited)
        self.wording = PhrasingBox(workbench)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for title, field, share in (("Negative", self.negative, 3), ("Wording", self.wording, 2)):
            label = QLabel(title)
            label.setBuddy(field)
            layout.addWidget(label)
            layout.addWidget(field, share)

    def show_row(self, row: PromptRow | None) -> None:
        """Show the selected prompt's negative; nothing where none is selected."""
        self._positive = "" if row is None else row.prompt.positive
        self.negative.setEnabled(row is not None)
        self.negative.setText("" if row is None else row.prompt.negative)
        self.negative.setCursorPosition(0)

    def _on_edited(self) -> None:
        table = self._bench.prompts.table
        row, text = table.row_of(self._positive), self.negative.text().strip()
        if row is not None and text:
            cell = table.index(row, _NEGATIVE_COLUMN)
            self._bench.guarded(lambda: table.setData(cell, text))

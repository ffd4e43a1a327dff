"""Model card: a model's own page, laid out for a narrow panel."""

from __future__ import annotations

from qtpy.QtGui import QTextBlock, QTextCursor, QTextLength, QTextOption, QTextTable
from qtpy.QtWidgets import QTextBrowser, QWidget

__all__ = ["ModelCard"]


class ModelCard(QTextBrowser):
    """Markdown that never scrolls sideways.

    Parameters
    ----------
    parent : QWidget or None
        Where it stands.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setOpenExternalLinks(True)
        self.setAccessibleName("Model card")
        self.setToolTip(
            "What the model is, what it was trained on, and what it must not be used for"
        )
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)

    def show_markdown(self, text: str) -> None:
        """Show a card from its beginning."""
        self.setMarkdown(text)
        document = self.document()
        root = None if document is None else document.rootFrame()
        if document is None or root is None:
            return
        for frame in root.childFrames():
            if isinstance(frame, QTextTable):
                _narrow(frame)
        block = document.begin()
        while block.isValid():
            _break_lines(block)
            block = block.next()


def _break_lines(block: QTextBlock) -> None:
    """Let a block of code go on in the next line."""
    layout = block.blockFormat()
    if layout.nonBreakableLines():
        layout.setNonBreakableLines(False)
        QTextCursor(block).setBlockFormat(layout)


def _narrow(table: QTextTable) -> None:
    """Make a table as wide as the page, without the empty head that Markdown asks for."""
    first = (table.cellAt(0, column) for column in range(table.columns()))
    if all(not cell.firstCursorPosition().block().text() for cell in first):
        table.removeRows(0, 1)
    layout = table.format()
    layout.setWidth(QTextLength(QTextLength.Type.PercentageLength, 100))
    layout.setCellPadding(3)
    layout.setColumnWidthConstraints([])
    table.setFormat(layout)

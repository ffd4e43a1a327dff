"""Report marks: the pasted text underlined where scan and report disagree, and where one looks."""

from __future__ import annotations

from qtpy.QtGui import QColor, QTextCharFormat
from qtpy.QtWidgets import QPlainTextEdit, QTextEdit

from napari_ctclip.session.report_reading import ReadReport

__all__ = ["line_at_cursor", "mark_sentences", "selected_characters"]

_DISAGREES = "#c9641f"  # on the paper of either theme
_Underline = QTextCharFormat.UnderlineStyle


def mark_sentences(edit: QPlainTextEdit, read: ReadReport | None, *, chosen: int = -1) -> None:
    """Underline sentences of a read report; none once the text is another one.

    Parameters
    ----------
    edit : QPlainTextEdit
        Where the text stands; its selection stays.
    read : ReadReport or None
        What was read of it.
    chosen : int
        Line that is looked at, underlined in full; those that disagree are so with a wave.
    """
    text = edit.toPlainText()
    lines = read.lines if read is not None and read.text == text else ()
    marks = []
    for number, line in enumerate(lines):
        disagrees, is_chosen = line.verdict.is_conflict, number == chosen
        if not (disagrees or is_chosen):
            continue
        mark = QTextEdit.ExtraSelection()
        mark.cursor = edit.textCursor()
        start, stop = (_units(text, characters) for characters in line.span)
        mark.cursor.setPosition(start)
        mark.cursor.setPosition(stop, mark.cursor.MoveMode.KeepAnchor)
        line_style = _Underline.SingleUnderline if is_chosen else _Underline.WaveUnderline
        mark.format.setUnderlineStyle(line_style)
        if disagrees:
            mark.format.setUnderlineColor(QColor(_DISAGREES))
        marks.append(mark)
    edit.setExtraSelections(marks)


def line_at_cursor(edit: QPlainTextEdit, read: ReadReport | None) -> int | None:
    """Return the line of a read report whose sentence the cursor stands in; None if none."""
    text = edit.toPlainText()
    if read is None or read.text != text:
        return None
    at = _characters(text, edit.textCursor().position())
    spans = (line.span for line in read.lines)
    return next((n for n, (start, stop) in enumerate(spans) if start <= at < stop), None)


def selected_characters(edit: QPlainTextEdit) -> tuple[int, int]:
    """Return where the selection starts and stops, in characters of the text."""
    text, cursor = edit.toPlainText(), edit.textCursor()
    return (
        _characters(text, cursor.selectionStart()),
        _characters(text, cursor.selectionEnd()),
    )


def _characters(text: str, units: int) -> int:
    """Return how many characters of a text Qt's first ``units`` are; it counts rare ones double."""
    return len(text.encode("utf-16-le")[: 2 * units].decode("utf-16-le", "ignore"))


def _units(text: str, characters: int) -> int:
    return len(text[:characters].encode("utf-16-le")) // 2

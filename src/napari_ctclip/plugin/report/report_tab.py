"""Report tab: paste a report; each sentence is scored in its organ and linked to its peak."""

from __future__ import annotations

from typing import Any

from psygnal import Signal
from qtpy.QtCore import QModelIndex
from qtpy.QtGui import QColor, QTextCharFormat
from qtpy.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QSizePolicy,
    QTextEdit,
    QWidget,
)

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.plugin.prompts.word_flow import WordFlow, WordLegend
from napari_ctclip.plugin.report.report_flow import ReportFlow
from napari_ctclip.plugin.widgets.panel_parts import push_button, tab_layout
from napari_ctclip.plugin.widgets.row_table import Role, RowTable, row_view
from napari_ctclip.plugin.window.window import Window
from napari_ctclip.session.report_reading import ReadReport, ReportLine, Verdict
from napari_ctclip.session.word_reading import selected_phrase

__all__ = [
    "VERDICT_MARKS",
    "ReportTab",
    "ReportTable",
    "line_at_cursor",
    "mark_sentences",
    "selected_characters",
]

_WIDTHS = (134, 104, 56, 42, 60)
_HINT = (
    "Each finding is queried in its organ. ⚠ marks where scan and report disagree, by this model; "
    "what it was not trained on is not judged. The text is stored only where you save it."
)
_DISAGREES = "#c9641f"  # on the paper of either theme
_Underline = QTextCharFormat.UnderlineStyle
VERDICT_MARKS = {
    Verdict.SUPPORTED: "✓",
    Verdict.UNSUPPORTED: "⚠",
    Verdict.DENIED_AGREES: "✓",
    Verdict.DENIED_DISAGREES: "⚠",
    Verdict.NOT_TRAINED: "?",
    Verdict.NO_ORGAN: "?",
    Verdict.NO_FINDING: "–",
    Verdict.NOT_READ: "–",
}
"""A sign before the word: never colour alone."""


class ReportTab(QWidget):
    """The tab.

    Parameters
    ----------
    window : Window
        Where the user reads what happens.
    flow : ReportFlow
        The report and what was read of it.
    words : WordFlow
        Maps the words that are selected in the text.
    """

    queried = Signal(str)
    """A finding of the report is to be queried as a prompt."""
    chosen = Signal(tuple)
    """A sentence was chosen, to be looked at: the peak of its finding (z, y, x)."""

    def __init__(self, window: Window, flow: ReportFlow, *, words: WordFlow) -> None:
        super().__init__()
        self._window, self.flow, self._words = window, flow, words
        self.text = QPlainTextEdit()
        self.text.setPlaceholderText("Paste a report of this scan, in English")
        self.text.setAccessibleName("Report text")
        self.text.setToolTip("Findings and impression are read")
        self.text.setTabChangesFocus(True)
        self.text.setMinimumHeight(88)
        self.text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
        self.read = push_button("Read", "Compare every sentence with the scan")
        self.query = push_button(
            "Query", "Query the selected finding as a prompt: its heatmap is shown"
        )
        self.words = push_button(
            "Words", "Map the words selected in the text, within their sentence"
        )
        self.words.setEnabled(False)
        self.clear = push_button("Clear", "Drop the report and what was read of it")
        self.query.setEnabled(False)
        self.keep = QCheckBox("Save in session")
        self.keep.setToolTip(
            "The text goes into saved sessions and into the copy for a crash; else into no file"
        )
        self.legend = WordLegend(words, self)
        self.summary = QLabel(_HINT)
        self.summary.setWordWrap(True)
        self.model = ReportTable(self)
        spoken = "Sentences of the report"
        self.table = row_view(self.model, spoken, widths=_WIDTHS, wide="last", one=True)
        self.table.setMinimumHeight(98)
        self.table.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
        self._lay_out()
        self.read.clicked.connect(self._on_read)
        self.clear.clicked.connect(self._on_clear)
        self.query.clicked.connect(self._on_query)
        self.words.clicked.connect(lambda: self._window.guarded(self.map_words))
        self.text.copyAvailable.connect(self.words.setEnabled)
        self.table.clicked.connect(self._on_clicked)
        self.table.activated.connect(self._on_clicked)
        selection = self.table.selectionModel()
        if selection is not None:
            selection.currentRowChanged.connect(self._on_current_changed)
        self.flow.changed.connect(self._on_changed)
        self.text.textChanged.connect(lambda: self.flow.set_text(self.text.toPlainText()))
        self.text.textChanged.connect(self._mark)
        self.text.cursorPositionChanged.connect(self._on_cursor_moved)
        self.keep.toggled.connect(self.flow.set_kept)
        self.flow.text_changed.connect(self._on_text_changed)
        self._on_text_changed()
        self._on_changed()

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        for button in (self.read, self.query, self.words, self.clear):
            buttons.addWidget(button)
        layout = tab_layout(self)
        layout.addWidget(self.text, 1)
        layout.addLayout(buttons)
        layout.addWidget(self.keep)
        layout.addWidget(self.legend)
        layout.addWidget(self.table, 3)
        layout.addWidget(self.summary)

    # --- the user -------------------------------------------------------------------------------

    def map_words(self) -> None:
        """Draw where the words selected in the text are, and turn to their peak.

        Raises
        ------
        CtClipError
            If the scan is not encoded, or the selection is not words of one sentence.
        """
        phrase = selected_phrase(self.text.toPlainText(), *selected_characters(self.text))
        self._words.show(Prompt(phrase.text), phrase.chosen, go_there=True)

    def _on_read(self) -> None:
        self._window.guarded(lambda: self.flow.read_text(self.text.toPlainText()))

    def _on_clear(self) -> None:
        self.flow.forget()

    def _on_query(self) -> None:
        row = self.table.currentIndex().row()
        if 0 <= row < len(self.model.rows) and self.model.rows[row].finding:
            self.queried.emit(self.model.rows[row].finding)

    def _on_clicked(self, index: QModelIndex) -> None:
        line = self.model.rows[index.row()]
        voxel = self.flow.voxel_of(line)
        if voxel is None:
            self._window.messages.info(f"No peak to go to: {line.verdict}; {line.why}.")
        else:
            self.chosen.emit(voxel)

    def _on_current_changed(self, current: QModelIndex) -> None:
        row = current.row()
        self.query.setEnabled(
            0 <= row < len(self.model.rows) and bool(self.model.rows[row].finding)
        )
        self._mark()

    def _on_cursor_moved(self) -> None:
        row, current = line_at_cursor(self.text, self.flow.read), self.table.currentIndex().row()
        if row is None or self.text.textCursor().hasSelection():
            return
        spans = [line.span for line in self.model.rows]
        if not 0 <= current < len(spans) or spans[row] != spans[current]:
            self.table.selectRow(row)

    def _mark(self) -> None:
        mark_sentences(self.text, self.flow.read, chosen=self.table.currentIndex().row())

    # --- what changes elsewhere -----------------------------------------------------------------

    def _on_text_changed(self) -> None:
        kept = self.flow.is_kept  # the text tells the flow, and the tick would follow
        if self.text.toPlainText() != self.flow.text:
            self.text.setPlainText(self.flow.text)
        self.keep.setChecked(kept)

    def _on_changed(self) -> None:
        read = self.flow.read
        self.model.set_rows(() if read is None else read.lines)
        self.query.setEnabled(False)
        self._mark()
        if read is None:
            self.summary.setText(_HINT)
            return
        judged = sum(line.finding != "" for line in read.lines)
        notices = "".join(f" {notice.message}." for notice in read.notices)
        self.summary.setText(
            f"Findings: {judged}, lines: {len(read.lines)}; ⚠ {len(read.conflicts)} disagree with "
            f"the scan.{notices} {_HINT}"
        )


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


class ReportTable(RowTable[ReportLine]):
    """The lines of a read report."""

    titles = ("Verdict", "Finding", "Where", "Prob.", "Sentence")
    tooltips = (
        "What the scan says to the sentence, by this model; rest the mouse on a row for the reason",
        "The finding that was queried; “suspected” where the report doubts it",
        "The organ it was queried in",
        "Probability of the finding there; relative to this scan, not a probability of disease",
        "The sentence as written; a click goes to the peak of its finding",
    )

    def cell(self, row: int, column: int, role: int) -> Any:
        """Return what a cell shows."""
        line = self.rows[row]
        if role == Role.DisplayRole:
            return _cells(line)[column]
        if role == Role.ToolTipRole:
            return f"{line.sentence}\n{line.verdict}: {line.why}"
        return None


def _cells(line: ReportLine) -> tuple[str, ...]:
    doubt = " (suspected)" if line.certainty == "uncertain" else ""
    score = line.score
    return (
        f"{VERDICT_MARKS[line.verdict]} {line.verdict}",
        f"{line.finding}{doubt}" or "–",
        "–" if score is None else anatomy_label(score.anatomy),
        "–" if score is None else f"{score.probability:.2f}",
        line.sentence,
    )

"""Report tab: paste, read, see what disagrees, click to the peak; nothing stays behind."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from qtpy.QtGui import QTextCharFormat

from napari_ctclip.plugin.report import report_flow
from napari_ctclip.plugin.report.report_tab import ReportTable
from tests.phantom import BALL_CENTRE

REPORT = "Nodule in the left lung. Nodule in the right lung. The patient was scanned supine."


@pytest.fixture
def tab(desk: Any) -> Any:
    desk.model.suggested_prompts = ("lung nodule",)
    desk.open()
    return desk.widget.report


def read(desk: Any, text: str) -> None:
    desk.widget.report.text.setPlainText(text)
    desk.widget.report.read.click()
    desk.wait()


def cells(tab: Any, row: int) -> list[str]:
    model = tab.model
    return [str(model.data(model.index(row, column))) for column in range(model.columnCount())]


def test_a_report_is_read_once_the_scan_is_encoded_by_itself(tab: Any, desk: Any) -> None:
    assert not desk.bench.session.is_ready
    read(desk, REPORT)
    assert [cells(tab, row)[0] for row in range(3)] == [
        "✓ supported",
        "⚠ not supported",
        "– not a finding",
    ]
    assert cells(tab, 0)[1:3] == ["lung nodule", "left lung"]
    assert "1 disagree" in tab.summary.text()


def test_a_click_turns_every_plane_to_the_peak(tab: Any, desk: Any) -> None:
    read(desk, REPORT)
    tab.table.clicked.emit(tab.model.index(0, 0))
    desk.wait()
    found = desk.bench.scene.index_at(desk.viewer.dims.point)
    assert np.linalg.norm(np.subtract(found, BALL_CENTRE) * (2.0, 1.5, 1.5)) < 8.0


def underlined(tab: Any) -> dict[str, Any]:
    return {
        mark.cursor.selectedText(): mark.format.underlineStyle()
        for mark in tab.text.extraSelections()
    }


def test_sentences_that_disagree_and_the_chosen_one_are_underlined(tab: Any, desk: Any) -> None:
    read(desk, "\N{GRINNING FACE} " + REPORT)  # Qt counts the face double
    styles = QTextCharFormat.UnderlineStyle
    wave, line = styles.WaveUnderline, styles.SingleUnderline
    assert underlined(tab) == {"Nodule in the right lung.": wave}
    tab.table.selectRow(0)
    assert underlined(tab) == {
        "\N{GRINNING FACE} Nodule in the left lung.": line,
        "Nodule in the right lung.": wave,
    }
    tab.table.selectRow(1)
    assert underlined(tab) == {"Nodule in the right lung.": line}
    tab.text.appendPlainText("Another sentence.")
    assert underlined(tab) == {}


def test_the_cursor_in_a_sentence_chooses_its_row(tab: Any, desk: Any) -> None:
    read(desk, REPORT)
    before = desk.viewer.dims.point
    cursor = tab.text.textCursor()
    cursor.setPosition(REPORT.index("right"))
    tab.text.setTextCursor(cursor)
    assert tab.table.currentIndex().row() == 1
    assert desk.viewer.dims.point == before, "only a click in the table goes there"


def test_a_click_on_a_sentence_without_a_place_says_why(tab: Any, desk: Any) -> None:
    read(desk, REPORT)
    before = desk.viewer.dims.point
    tab.table.clicked.emit(tab.model.index(2, 0))
    assert desk.viewer.dims.point == before
    assert "not a finding" in desk.status


def test_a_finding_can_be_asked_as_a_prompt(tab: Any, desk: Any) -> None:
    read(desk, REPORT)
    tab.table.selectRow(2)
    assert not tab.query.isEnabled()
    tab.table.selectRow(0)
    tab.query.click()
    desk.wait()
    assert desk.heat("lung nodule").visible


def test_the_report_is_read_off_the_gui_thread(tab: Any, desk: Any, monkeypatch: Any) -> None:
    threads: list[int] = []
    real = report_flow.read_report

    def watched(*args: Any, **options: Any) -> Any:
        threads.append(threading.get_ident())
        return real(*args, **options)

    monkeypatch.setattr(report_flow, "read_report", watched)
    read(desk, REPORT)
    assert threads
    assert threading.get_ident() not in threads


def test_clear_and_another_scan_leave_no_line(tab: Any, desk: Any) -> None:
    read(desk, REPORT)
    desk.open()
    assert tab.model.rowCount() == 0
    assert not tab.text.toPlainText()
    assert not tab.keep.isChecked()
    read(desk, REPORT)
    assert tab.model.rowCount() == 3
    tab.clear.click()
    assert tab.model.rowCount() == 0
    assert not tab.text.toPlainText()


def test_an_empty_report_is_refused_in_one_line(tab: Any, desk: Any) -> None:
    read(desk, "  ")
    assert "paste a report" in desk.status


def test_the_probability_stands_whole_in_a_narrow_panel(tab: Any) -> None:
    header, column = tab.table.horizontalHeader(), ReportTable.titles.index("Prob.")
    text = header.fontMetrics().horizontalAdvance("Prob.")
    assert header.sectionSize(column) >= text + 12
    assert header.sectionPosition(column) + header.sectionSize(column) <= 376  # of a 400 px panel

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.plugin.prompts.prompt_table import COLUMNS
from tests.phantom import BALL_CENTRE, ball_study
from tests.plugin.conftest import Desk

pytestmark = pytest.mark.gui
NEGATIVE = COLUMNS.index("Negative")


def test_first_prompt_loads_encodes_and_answers_by_itself(open_desk: Desk) -> None:
    open_desk.ask("bright spot")
    row = open_desk.bench.prompts.state.find("bright spot")
    assert row is not None
    assert row.answer is not None
    assert row.prompt.negative == "no bright spot"
    assert open_desk.heat("bright spot").visible
    assert np.abs(np.subtract(row.peak, BALL_CENTRE)).max() <= 6


def test_heat_is_as_coarse_as_the_tokens(open_desk: Desk) -> None:
    open_desk.ask("bright spot")
    tokens = open_desk.bench.session.encoding.scan.token_geometry
    assert open_desk.heat("bright spot").data.shape == tokens.shape
    assert open_desk.heat("bright spot").scale == pytest.approx(tokens.spacing_mm)


def test_prompt_before_a_scan_waits_for_one(desk: Desk) -> None:
    desk.ask("bright spot")
    assert "No CT is open" in desk.status
    desk.open()
    desk.wait()
    assert desk.bench.session.answer_to("bright spot") is not None


def test_only_one_heat_is_visible_and_is_reused(open_desk: Desk) -> None:
    open_desk.ask("bright spot; dark hole")
    open_desk.ask("dark hole")
    heat = open_desk.heat("dark hole")
    assert heat.visible
    assert not open_desk.bench.prompts.state.find("bright spot").shown
    open_desk.ask("bright spot")
    assert not heat.visible
    open_desk.ask("dark hole")
    assert open_desk.heat("dark hole") is heat


def test_encoding_runs_off_the_gui_thread_while_events_are_served(open_desk: Desk) -> None:
    served_in_window: list[int] = []
    served = [0]

    def window() -> None:
        before = served[0]
        deadline = time.monotonic() + 5.0
        while served[0] < before + 3 and time.monotonic() < deadline:
            time.sleep(0.002)  # released only by events that the GUI thread serves
        served_in_window.append(served[0] - before)

    open_desk.model.before_window = window
    from qtpy.QtCore import QTimer

    timer = QTimer()
    timer.timeout.connect(lambda: served.__setitem__(0, served[0] + 1))
    timer.start(0)
    open_desk.ask("bright spot")
    timer.stop()
    assert threading.get_ident() not in open_desk.model.encoded_on
    assert len(served_in_window) >= 2
    assert min(served_in_window) >= 3


def test_progress_is_shown_and_cancel_stops_between_windows(open_desk: Desk) -> None:
    release = open_desk.ask_and_hold("bright spot")
    open_desk.qtbot.waitUntil(lambda: open_desk.widget.status.bar.maximum() > 1, timeout=5_000)
    assert open_desk.widget.status.cancel.isEnabled()
    open_desk.widget.status.cancel.click()
    release.set()
    open_desk.wait()
    assert "cancelled" in open_desk.status
    assert not open_desk.bench.session.is_ready
    assert len(open_desk.model.encoded_on) == 1
    assert not open_desk.widget.status.cancel.isEnabled()
    open_desk.ask("bright spot")
    assert open_desk.bench.session.answer_to("bright spot") is not None


@pytest.mark.parametrize(
    ("error", "told", "has_details"),
    [
        (CtClipError("the model refuses"), "the model refuses", False),
        (RuntimeError("shapes do not fit"), "shapes do not fit", True),
        (RuntimeError("out of memory"), "memory does not suffice", False),
    ],
)
def test_model_error_leaves_the_panel_usable_and_leaks_nothing(
    open_desk: Desk, error: Exception, told: str, has_details: bool, qapp: Any
) -> None:
    open_desk.ask("warm up")
    open_desk.bench.session.cache.clear()
    widgets = len(qapp.allWidgets())

    def fail() -> None:
        raise error

    open_desk.model.before_window = fail
    open_desk.bench.session.set_model(open_desk.model)
    open_desk.ask("bright spot")
    assert told in open_desk.status
    assert open_desk.status.startswith("Error:")
    assert open_desk.widget.status.copy.isVisibleTo(open_desk.widget) == has_details
    assert open_desk.bench.jobs.is_idle
    assert open_desk.bench.jobs.title == ""
    assert len(qapp.allWidgets()) <= widgets + 12  # napari's own notification
    open_desk.model.before_window = lambda: None
    open_desk.ask("bright spot")
    assert open_desk.bench.session.answer_to("bright spot") is not None


def test_scan_opened_while_another_is_encoded_gets_its_own_answers(open_desk: Desk) -> None:
    release = open_desk.ask_and_hold("bright spot")
    first = open_desk.bench.session.study
    open_desk.bench.studies.open_study(ball_study())
    release.set()
    open_desk.wait()
    session = open_desk.bench.session
    assert session.study is not first
    assert session.answer_to("bright spot") is not None


def test_editing_the_negative_in_the_table_asks_again(open_desk: Desk) -> None:
    open_desk.ask("bright spot")
    before = open_desk.bench.session.answer_to("bright spot")
    heat, data = open_desk.heat("bright spot"), open_desk.heat("bright spot").data
    table = open_desk.bench.prompts.table
    assert table.setData(table.index(0, NEGATIVE), "anything else", Qt.ItemDataRole.EditRole)
    open_desk.wait()
    after = open_desk.bench.session.answer_to("bright spot")
    assert after.prompt.negative == "anything else"
    assert after is not before
    assert open_desk.heat("bright spot") is heat
    assert not np.array_equal(heat.data, data)


def test_new_organ_masks_score_the_answers_again(open_desk: Desk, tmp_path: Path) -> None:
    study = ball_study(with_masks=False)
    open_desk.open(study)
    open_desk.ask("bright spot")
    assert open_desk.bench.session.answer_to("bright spot").organs == ()
    session = open_desk.bench.session
    session.set_masks(session.prepare_masks(ball_study().organ_masks))
    row = open_desk.bench.prompts.state.find("bright spot")
    assert row.answer.organs[0].anatomy in ("lung", "lung_left")
    assert open_desk.viewer.layers["Organs"].contour == 1


def test_an_organ_that_the_scan_cuts_is_warned_of_once(desk: Desk) -> None:
    study = ball_study()
    labels = np.zeros_like(study.organ_masks.labels)
    labels[:12, 10:40, 10:50] = 1
    masks = OrganMasks(labels, {"lung_left": 1}, study.volume.geometry)
    desk.open(replace(study, organ_masks=masks))
    desk.ask("nodule in the lung")
    assert "the scan ends where the lung is widest" in desk.status
    desk.ask("cyst in the lung")
    assert "similarity" in desk.status
    assert "the scan ends" not in desk.status
    table = desk.widget.explore.table.model()
    tooltip = Qt.ItemDataRole.ToolTipRole
    tooltips = [str(table.data(table.index(row, 0), tooltip)) for row in range(2)]
    assert all("⚠ the scan ends where the lung is widest" in text for text in tooltips)


def test_remove_forgets_prompt_and_heat(open_desk: Desk) -> None:
    open_desk.ask("bright spot")
    open_desk.widget.explore.table.selectRow(0)
    open_desk.qtbot.keyClick(open_desk.widget.explore.table, Qt.Key.Key_Delete)
    assert open_desk.bench.prompts.state.rows == ()
    assert open_desk.bench.session.answers == ()
    assert "Heatmap: bright spot" not in open_desk.viewer.layers


def test_empty_prompt_is_refused_in_one_line(open_desk: Desk) -> None:
    open_desk.bench.guarded(lambda: open_desk.bench.prompts.add("  "))
    assert "at least one word" in open_desk.status
    assert open_desk.bench.prompts.state.rows == ()


def test_export_writes_files_in_the_background(open_desk: Desk, tmp_path: Path) -> None:
    open_desk.bench.guarded(lambda: open_desk.bench.exports.write(tmp_path))
    assert "ask a prompt first" in open_desk.status
    open_desk.ask("bright spot")
    open_desk.bench.exports.write(tmp_path / "out")
    open_desk.wait()
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"scores.csv", "heatmap_bright-spot.nii.gz", "provenance.json"} <= written


def test_next_prompt_takes_over_the_layer_of_the_hidden_one(open_desk: Desk) -> None:
    open_desk.ask("bright spot")
    layer = open_desk.heat("bright spot")
    open_desk.ask("dark hole")
    assert open_desk.heat("dark hole") is layer
    assert [n.name for n in open_desk.viewer.layers if n.name.startswith("Heatmap")] == [layer.name]
    flow = open_desk.bench.prompts
    flow.set_shown("bright spot", True)
    assert open_desk.heat("bright spot").visible
    assert open_desk.heat("dark hole").visible
    assert open_desk.heat("bright spot") is not layer

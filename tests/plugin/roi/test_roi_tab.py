"""The ROI tab: a region of interest drawn, clicked or chosen, and its description."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from napari_ctclip.core.roi import Roi
from napari_ctclip.plugin.canvas.views import View
from napari_ctclip.plugin.roi import roi_flow
from napari_ctclip.plugin.roi.roi_tab import RoiTab
from tests.phantom import BALL_CENTRE, ball_study
from tests.plugin.conftest import Desk

pytestmark = pytest.mark.gui


@pytest.fixture
def asked(open_desk: Desk) -> Desk:
    """A desk with an encoded scan."""
    open_desk.ask("bright spot")
    return open_desk


def _tab(desk: Desk) -> RoiTab:
    return desk.widget.roi


def _take_sphere(desk: Desk) -> None:
    desk.bench.roi.take(Roi.sphere(BALL_CENTRE, 6.0))
    desk.wait()


def test_a_region_is_described_off_the_gui_thread_and_ranked(
    asked: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[Any] = []
    original = roi_flow.read_roi

    def watched(*arguments: Any, **options: Any) -> Any:
        threads.append(threading.current_thread())
        return original(*arguments, **options)

    monkeypatch.setattr(roi_flow, "read_roi", watched)
    _take_sphere(asked)
    assert threads
    assert threading.main_thread() not in threads
    tab = _tab(asked)
    local = asked.bench.roi.reading.local
    assert tab.sorted.rowCount() == len(local.findings) > 1
    values = [finding.similarity for finding in local.findings]
    assert tab.sorted.index(0, 1).data() == f"{max(values):+.2f}"
    tab.table.sortByColumn(1, Qt.SortOrder.AscendingOrder)
    assert tab.sorted.index(0, 1).data() == f"{min(values):+.2f}"
    assert "bright spot" in {finding.text for finding in local.findings}  # the user's own
    assert "not a probability" in tab.reference.text()
    assert "Compared with" in tab.reference.text()
    assert tab.similar.count() == len(local.similar)


def test_before_the_scan_is_encoded_ct_numbers_are_shown_and_findings_follow(
    open_desk: Desk,
) -> None:
    _take_sphere(open_desk)
    tab = _tab(open_desk)
    assert "HU" in tab.text.text()
    assert "Encode" in tab.reference.text()
    assert tab.sorted.rowCount() == 0
    assert not tab.save.isEnabled()
    open_desk.ask("bright spot")
    assert tab.sorted.rowCount() > 1
    assert tab.save.isEnabled()


def test_only_the_latest_of_many_regions_is_described_to_the_end(
    asked: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Any] = []
    original = roi_flow.read_roi

    def watched(study: Any, region: Any, **options: Any) -> Any:
        read.append(region)
        return original(study, region, **options)

    monkeypatch.setattr(roi_flow, "read_roi", watched)
    for radius in (3.0, 4.0, 5.0, 6.0, 7.0):
        asked.bench.roi.take(Roi.sphere(BALL_CENTRE, radius))
    asked.wait()
    assert len(read) <= 2
    assert asked.bench.roi.reading.statistics.voxels == asked.bench.roi.region.mask.sum()
    assert asked.bench.roi.roi.radius_mm == 7.0


def test_sizes_change_the_roi_and_undo_takes_it_back(asked: Desk) -> None:
    _take_sphere(asked)
    tools = _tab(asked).tools
    tools.radius.setValue(9.0)
    asked.wait()
    assert asked.bench.roi.roi.radius_mm == 9.0
    tools.undo.click()
    asked.wait()
    assert asked.bench.roi.roi.radius_mm == tools.radius.value() == 6.0
    assert not tools.undo.isEnabled()


def test_an_organ_and_a_finding_can_be_the_roi(asked: Desk) -> None:
    tab = _tab(asked)
    tab.tools.finding.click()
    assert "no finding with a region" in asked.status
    row = tab.tools.organ.findData("lung_left")
    tab.tools.organ.setCurrentIndex(row)
    tab.tools.organ.activated.emit(row)
    asked.wait()
    masks = asked.bench.session.study.organ_masks
    assert asked.bench.roi.reading.statistics.voxels == masks.mask("lung_left").sum()
    assert "left lung" in tab.text.text()
    assert tab.similar.isHidden()
    assert "most of an organ (left lung)" in tab.none_similar.text()
    assert "Similar regions" not in asked.viewer.layers
    asked.widget.findings.region.click()
    asked.wait()
    asked.widget.findings.table.selectRow(0)
    tab.tools.finding.click()
    asked.wait()
    assert asked.bench.roi.region is asked.bench.findings.kept.findings[0].region
    assert asked.bench.roi.reading is not None


def test_other_organ_masks_are_read_anew(asked: Desk) -> None:
    _take_sphere(asked)
    assert "no organ mask" not in _tab(asked).text.text()
    asked.bench.session.set_masks(None)
    asked.wait()
    assert "no organ mask" in _tab(asked).text.text()
    assert not _tab(asked).tools.organ.isEnabled()


def test_a_region_becomes_a_finding_and_its_finding_a_prompt(asked: Desk) -> None:
    tab = _tab(asked)
    _take_sphere(asked)
    assert not tab.query.isEnabled()
    tab.table.selectRow(0)
    chosen = tab.selected()
    tab.accept.click()
    asked.wait()
    kept = asked.bench.findings.kept.findings[-1]
    assert kept.name == chosen.text
    assert kept.region.mask.sum() == asked.bench.roi.region.mask.sum()
    tab.table.selectRow(1)
    text = tab.selected().text
    tab.query.click()
    asked.wait()
    assert asked.bench.session.answer_to(text) is not None


def test_a_similar_region_is_gone_to_and_the_roi_stays(asked: Desk) -> None:
    _take_sphere(asked)
    tab = _tab(asked)
    roi = asked.bench.roi.roi
    item = tab.similar.item(0)
    tab.similar.itemClicked.emit(item)
    at = asked.bench.scene.index_at(asked.viewer.dims.point)
    assert at == asked.bench.roi.similar_voxels()[0]
    assert asked.bench.roi.roi is roi
    assert len(asked.viewer.layers["Similar regions"].data) == tab.similar.count()


def test_a_prompt_that_is_answered_later_is_ranked_for_the_roi(asked: Desk) -> None:
    _take_sphere(asked)
    tab = _tab(asked)
    tab.table.selectRow(1)
    chosen = tab.selected().text
    texts = {finding.text for finding in tab.model.rows}
    assert "bright mass of mine" not in texts
    asked.ask("bright mass of mine")
    assert {finding.text for finding in tab.model.rows} == texts | {"bright mass of mine"}
    assert tab.selected().text == chosen
    reading = asked.bench.roi.reading
    asked.bench.session.ask(asked.bench.prompts.state.rows[0].prompt)  # nothing new
    asked.wait()
    assert asked.bench.roi.reading is reading
    asked.bench.prompts.remove("bright mass of mine")
    asked.wait()
    assert {finding.text for finding in tab.model.rows} == texts


def test_another_scan_forgets_the_roi(asked: Desk) -> None:
    _take_sphere(asked)
    asked.open(ball_study())
    assert asked.bench.roi.roi is None
    assert "ROI" not in asked.viewer.layers
    assert "Similar regions" not in asked.viewer.layers
    assert _tab(asked).sorted.rowCount() == 0
    assert not _tab(asked).accept.isEnabled()


def test_a_layer_removed_by_hand_comes_back_with_the_next_roi(asked: Desk) -> None:
    _take_sphere(asked)
    asked.viewer.layers.remove("ROI")
    asked.viewer.layers.remove("Similar regions")
    _tab(asked).tools.radius.setValue(8.0)
    asked.wait()
    assert "ROI" in asked.viewer.layers
    assert "Similar regions" in asked.viewer.layers


def test_the_outline_is_put_away_in_three_dimensions(asked: Desk) -> None:
    _take_sphere(asked)
    asked.bench.views.show(View.VOLUME)
    assert not asked.viewer.layers["ROI"].visible
    _tab(asked).tools.radius.setValue(8.0)
    asked.wait()
    assert not asked.viewer.layers["ROI"].visible
    asked.bench.views.show(View.PLANE)
    assert asked.viewer.layers["ROI"].visible


def test_the_description_is_saved(
    asked: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _take_sphere(asked)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "out"))
    _tab(asked).save.click()
    asked.wait()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "findings.csv", "similar.csv", "hounsfield.csv", "roi.json",
    }  # fmt: skip


def test_nothing_open_and_a_region_outside_say_so(desk: Desk) -> None:
    desk.bench.guarded(lambda: desk.bench.roi.take(Roi.sphere((0, 0, 0), 5.0)))
    assert "no CT is open" in desk.status
    desk.open()
    desk.bench.guarded(lambda: desk.bench.roi.take(Roi.sphere((900, 0, 0), 5.0)))
    assert "outside the scan" in desk.status
    assert desk.bench.roi.roi is None

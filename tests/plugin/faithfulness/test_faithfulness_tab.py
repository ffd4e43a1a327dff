"""The Faithfulness tab: the legend, the token's outline, occlusion, deletion and insertion."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtWidgets import QFileDialog

from napari_ctclip.explanation import occlusion
from napari_ctclip.plugin.faithfulness.faithfulness_tab import FaithfulnessTab, OccludedPart
from tests.phantom import BALL_CENTRE
from tests.plugin.conftest import Desk

pytestmark = pytest.mark.gui


@pytest.fixture
def asked(open_desk: Desk) -> Desk:
    """A desk with an answered prompt."""
    open_desk.ask("bright spot")
    return open_desk


def _tab(desk: Desk) -> FaithfulnessTab:
    return desk.widget.faithfulness


def test_the_legend_says_what_is_shown(asked: Desk) -> None:
    text = asked.widget.heatmap_legend.text.text()
    assert "bright spot" in text
    assert "similarity" in text
    assert f"Model {asked.model.name}" in text
    assert "one token is 4 x 4 x 4 mm" in text
    asked.bench.prompts.set_shown("bright spot", False)
    assert "No heatmap is shown" in asked.widget.heatmap_legend.text.text()
    assert "not a probability of disease" in asked.widget.status.notice.text()


def test_the_outline_of_a_token_is_as_large_as_a_token_and_holds_the_voxel(asked: Desk) -> None:
    ghost = asked.bench.ghost
    assert ghost.corners is None
    asked.widget.heatmap_legend.ghost.click()
    asked.bench.pointer.hovered.emit(BALL_CENTRE)
    low, high = ghost.corners
    np.testing.assert_allclose(high - low, ghost.token_mm)
    place = asked.bench.scene.frame.index_to_display(BALL_CENTRE)
    assert (low <= place).all()
    assert (place <= high).all()
    keymap = {str(key): bound for key, bound in asked.viewer.keymap.items()}
    keymap["Shift+T"](asked.viewer)
    assert not asked.widget.heatmap_legend.ghost.isChecked()
    assert ghost.corners is None


def test_occluding_the_point_lowers_its_score_more_than_the_controls_do(asked: Desk) -> None:
    tab = _tab(asked)
    before = asked.bench.session.study.volume.voxels.copy()
    asked.bench.probe.at(BALL_CENTRE)
    tab.part.setCurrentText(OccludedPart.SPHERE.value)
    tab.radius.setValue(10.0)
    tab.occlude.click()
    asked.wait()
    occluded = asked.bench.faithfulness.occluded
    assert occluded.effects[0].change < min(occluded.effects[0].controls)
    assert "occluded" in tab.result.text()
    assert asked.viewer.layers["Change: bright spot"].visible
    assert not asked.viewer.layers["Occluded region"].visible
    np.testing.assert_array_equal(asked.bench.session.study.volume.voxels, before)
    tab.filled.click()
    assert asked.viewer.layers["Occluded region"].visible
    asked.viewer.layers.remove("Change: bright spot")  # by hand
    tab.change.click()
    tab.change.click()
    assert asked.viewer.layers["Change: bright spot"].visible


def test_a_finding_and_the_heatmap_can_be_occluded_and_nothing_chosen_says_so(asked: Desk) -> None:
    tab = _tab(asked)
    tab.part.setCurrentText(OccludedPart.FINDING.value)
    tab.occlude.click()
    assert "no finding with a region is selected" in asked.status
    asked.widget.findings.region.click()
    asked.wait()
    asked.widget.findings.table.selectRow(0)
    tab.occlude.click()
    asked.wait()
    assert asked.bench.faithfulness.occluded.region is asked.bench.findings.kept.findings[0].region
    tab.part.setCurrentText(OccludedPart.HEATMAP.value)
    tab.occlude.click()
    asked.wait()
    assert asked.bench.faithfulness.occluded.region.mask.any()


def test_without_an_answer_there_is_nothing_to_test(open_desk: Desk) -> None:
    _tab(open_desk).occlude.click()
    assert "no answered prompt" in open_desk.status
    _tab(open_desk).curves.click()
    assert "no answered prompt" in open_desk.status


def test_the_curves_are_described_in_words_and_saved(
    asked: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab = _tab(asked)
    assert not tab.save.isEnabled()
    tab.curves.click()
    asked.wait()
    tested = asked.bench.faithfulness.tested
    assert tab.verdict.text() == tested.reading
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "out"))
    tab.save.click()
    asked.wait()
    assert any(path.suffix == ".csv" for path in (tmp_path / "out").iterdir())


def test_an_occlusion_runs_off_the_gui_thread_and_stops_when_cancelled(
    asked: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[Any] = []
    original = occlusion.occlude_region

    def watched(*arguments: Any, **options: Any) -> Any:
        threads.append(threading.current_thread())
        asked.bench.jobs.cancel()
        return original(*arguments, **options)

    monkeypatch.setattr(occlusion, "occlude_region", watched)
    asked.bench.probe.at(BALL_CENTRE)
    _tab(asked).occlude.click()
    asked.wait()
    assert threads
    assert threads[0] is not threading.main_thread()
    assert "cancelled" in asked.status or "stopped" in asked.status
    assert asked.bench.faithfulness.occluded is None


def test_another_scan_forgets_the_tests(asked: Desk) -> None:
    asked.bench.probe.at(BALL_CENTRE)
    _tab(asked).occlude.click()
    asked.wait()
    assert asked.bench.faithfulness.occluded is not None
    asked.open()
    assert asked.bench.faithfulness.occluded is None
    assert "Change: bright spot" not in asked.viewer.layers
    assert not _tab(asked).change.isEnabled()

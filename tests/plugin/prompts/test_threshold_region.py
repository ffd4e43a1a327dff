"""Heat cut: the slider's region in the picture, in numbers, and as a finding."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from napari_ctclip.core.prompt import Prompt
from napari_ctclip.plugin.prompts.threshold_dialog import ThresholdDialog
from tests.phantom import BALL_CENTRE
from tests.plugin.prompts.test_prompt_tools import choose, select


def outline(desk: Any) -> Any:
    return desk.bench.scene.layer("cut")


@pytest.fixture
def cutting(open_desk: Any) -> tuple[Any, ThresholdDialog]:
    open_desk.ask("bright ball")
    select(open_desk, 0)
    choose(open_desk, "Outline")
    return open_desk, open_desk.widget.window().findChild(ThresholdDialog)


def test_the_outline_and_the_numbers_follow_the_slider(cutting: Any) -> None:
    desk, dialog = cutting
    at_half, numbers = int((outline(desk).data > 0).sum()), dialog.numbers.text()
    ball = desk.bench.scene.frame.index_to_display(BALL_CENTRE)
    assert outline(desk).get_value(ball, world=True) == 1
    dialog.slider.setValue(90)
    desk.wait()
    assert int((outline(desk).data > 0).sum()) < at_half
    assert outline(desk).get_value(ball, world=True) == 1
    assert dialog.numbers.text() != numbers
    found = dialog.outlined.current
    assert dialog.numbers.text().startswith(f"{found.volume_ml:.2f} ml")


def test_of_many_steps_of_the_slider_only_the_last_is_cut(cutting: Any) -> None:
    desk, dialog = cutting
    seen: list[float] = []
    dialog.outlined.changed.connect(lambda found, reason: seen.append(found.rule.threshold))
    for share in range(50, 91):
        dialog.slider.setValue(share)
    desk.wait()
    assert dialog.outlined.current.rule == dialog.rule
    assert seen[-1] == dialog.rule.threshold
    assert len(seen) <= 2  # one may have been under way


def test_the_region_becomes_a_finding_with_its_threshold(cutting: Any) -> None:
    desk, dialog = cutting
    dialog.slider.setValue(70)
    desk.wait()
    found = dialog.outlined.current
    dialog.make.click()
    desk.wait()
    (finding,) = desk.bench.findings.kept.findings
    assert finding.name == "bright ball"
    assert finding.threshold == pytest.approx(found.rule.threshold)
    assert finding.volume_ml == pytest.approx(found.volume_ml)


def test_a_region_kept_to_the_organ_becomes_that_finding(open_desk: Any) -> None:
    session = open_desk.bench.session
    open_desk.ask("bright ball")
    session.ask(Prompt("bright ball", anatomy="lung_left"))
    select(open_desk, 0)
    choose(open_desk, "Outline")
    dialog = open_desk.widget.window().findChild(ThresholdDialog)
    assert not dialog.least.isEnabled()
    dialog.in_organ.setChecked(True)
    dialog.least.setValue(3)
    dialog.slider.setValue(5)
    open_desk.wait()
    region = dialog.outlined.current.region
    dialog.make.click()
    open_desk.wait()
    (finding,) = open_desk.bench.findings.kept.findings
    np.testing.assert_array_equal(finding.region.mask, region.mask)
    assert finding.prompt.positive == "bright ball"
    assert finding.anatomy == "lung_left"


def test_a_removed_prompt_closes_the_dialog_and_takes_the_outline_off(cutting: Any) -> None:
    desk, dialog = cutting
    desk.bench.prompts.remove("bright ball")
    desk.qtbot.waitUntil(lambda: outline(desk) is None)
    assert not desk.widget.window().findChildren(ThresholdDialog) or not dialog.isVisible()


def test_heat_that_rises_above_nothing_is_refused(open_desk: Any) -> None:
    open_desk.ask("bright ball")
    answer = open_desk.bench.session.answer_to("bright ball")
    cold = replace(answer.similarity_map, values=answer.similarity_map.values - 9)
    open_desk.bench.session.set_answer(replace(answer, similarity_map=cold))
    select(open_desk, 0)
    choose(open_desk, "Outline")
    assert "no region to outline" in open_desk.status


def test_another_cut_closes_the_one_before(cutting: Any) -> None:
    desk, first = cutting
    closed: list[int] = []
    first.finished.connect(closed.append)
    desk.ask("dark hole")
    select(desk, 1)
    choose(desk, "Outline")
    assert closed
    shown = [d for d in desk.widget.window().findChildren(ThresholdDialog) if d.isVisible()]
    assert [dialog.outlined.positive for dialog in shown] == ["dark hole"]
    assert outline(desk) is not None


def test_nothing_selected_is_told(open_desk: Any) -> None:
    choose(open_desk, "Outline")
    assert "0 prompts are selected" in open_desk.status

"""The wording of a window: every prompt follows it, undo and session files bring it back."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from napari.components import ViewerModel
from qtpy.QtCore import Qt
from qtpy.QtGui import QDesktopServices

from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.template_set import AS_TYPED, TemplateSet
from napari_ctclip.io import template_files
from napari_ctclip.io.template_files import read_templates, write_templates
from napari_ctclip.plugin.canvas.scene import Scene
from napari_ctclip.plugin.prompts import phrasing
from napari_ctclip.plugin.prompts.phrasing import PhrasingFlow
from napari_ctclip.plugin.prompts.prompt_flow import PromptFlow
from napari_ctclip.plugin.window.jobs import JobQueue
from napari_ctclip.plugin.window.messages import Message, Messages
from napari_ctclip.plugin.window.window import Window
from tests.exporting.asked import asked_session
from tests.plugin.conftest import WAIT_MS

MINE = TemplateSet("mine", ("{}", "odd words about {}"))
ENSEMBLE = read_templates("ensemble")


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """Settings that live as long as the test, and a settings folder of its own."""
    values: dict[str, str] = {}
    monkeypatch.setattr(template_files, "own_templates_file", lambda: tmp_path / "own.toml")
    monkeypatch.setattr(phrasing, "setting", lambda name, default: values.get(name, default))
    monkeypatch.setattr(phrasing, "keep_setting", values.__setitem__)
    return values


@pytest.fixture
def parts(tmp_path: Path, qtbot: Any) -> Any:
    """An encoded session with its prompt flow, and no window."""
    session, messages = asked_session(tmp_path), Messages()
    session.remove("bright spot")
    told: list[Message] = []
    messages.told.connect(told.append)
    jobs = JobQueue(messages)
    scene = Scene(ViewerModel())
    window = Window(session, jobs, scene, messages)
    prompts = PromptFlow(window)

    def wait() -> None:
        qtbot.waitUntil(lambda: jobs.is_idle, timeout=WAIT_MS)

    def make() -> PhrasingFlow:
        return PhrasingFlow(window, prompts)

    yield SimpleNamespace(
        session=session, prompts=prompts, told=told, wait=wait, make=make, flow=make()
    )
    jobs.close()


def asked(parts: Any) -> list[tuple[str, str]]:
    return [(r.prompt.positive, r.prompt.templates.name) for r in parts.prompts.state.rows]


def test_every_prompt_is_asked_again_in_the_wording_that_is_chosen(
    parts: Any, kept: dict[str, str]
) -> None:
    parts.prompts.add("swirl; bright spot")
    parts.wait()
    before = {answer.prompt.positive: answer for answer in parts.session.answers}
    parts.flow.choose(ENSEMBLE)
    parts.wait()
    assert asked(parts) == [("swirl", "ensemble"), ("bright spot", "ensemble")]
    for row in parts.prompts.state.rows:
        assert not row.waiting
        assert row.answer is parts.session.answer_to(row.prompt.positive)
        assert row.answer.prompt == row.prompt != before[row.prompt.positive].prompt
    now = parts.session.answer_to("swirl")
    assert now.whole.similarity != before["swirl"].whole.similarity
    assert any("fitted to prompts as typed" in message.text for message in parts.told)
    parts.prompts.add("dark hole")
    parts.wait()
    assert parts.session.answer_to("dark hole").prompt.templates == ENSEMBLE
    # the next window begins with it, a prompt typed again keeps its row and follows
    assert kept == {"wording": "ensemble"}
    parts.session.set_templates(AS_TYPED)
    assert parts.make().current == ENSEMBLE


def test_undo_takes_another_wording_back_as_one_step(parts: Any) -> None:
    parts.prompts.add("swirl; bright spot")
    parts.wait()
    plain = parts.session.answer_to("swirl").whole.similarity
    assert parts.prompts.state.can_undo
    parts.flow.choose(ENSEMBLE)
    parts.wait()
    parts.prompts.undo()
    parts.wait()
    assert asked(parts) == [("swirl", "as typed"), ("bright spot", "as typed")]
    assert parts.session.answer_to("swirl").whole.similarity == plain
    assert parts.flow.current == AS_TYPED
    parts.prompts.redo()
    parts.wait()
    assert parts.flow.current == ENSEMBLE
    assert parts.session.answer_to("swirl").prompt.templates == ENSEMBLE


def test_templates_that_only_a_session_file_knows_can_be_chosen_while_they_are_used(
    parts: Any,
) -> None:
    told: list[None] = []
    parts.flow.changed.connect(lambda: told.append(None))
    parts.prompts.state.add(Prompt("swirl", templates=MINE))  # as opening a session does
    assert parts.flow.current == MINE
    assert parts.flow.choices[-1] == MINE
    assert told
    parts.flow.choose(AS_TYPED)
    assert MINE not in parts.flow.choices
    parts.prompts.state.add(Prompt("other", templates=MINE))
    assert parts.flow.current == AS_TYPED  # they do not agree


def test_a_wording_chosen_before_a_scan_is_open_asks_for_none(parts: Any) -> None:
    parts.prompts.add("swirl")
    parts.wait()
    parts.session.set_study(None)
    parts.told.clear()
    parts.flow.choose(ENSEMBLE)
    parts.wait()
    assert asked(parts) == [("swirl", "ensemble")]
    assert not any("No CT is open" in message.text for message in parts.told)


def test_own_templates_are_read_again_and_odd_ones_are_told_once(
    parts: Any, tmp_path: Path
) -> None:
    write_templates([MINE], tmp_path / "own.toml")
    parts.flow.reload()
    assert MINE in parts.flow.choices
    (tmp_path / "own.toml").write_text("[mine", "utf-8")
    parts.flow.reload()
    parts.flow.reload()
    assert MINE not in parts.flow.choices
    (message,) = parts.told
    assert "own.toml is not readable TOML" in message.text


@pytest.mark.gui
def test_the_box_chooses_tells_and_opens_the_own_file(
    open_desk: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    open_desk.ask("swirl")
    box = open_desk.widget.explore.details.phrasing
    titles = [box.itemText(number) for number in range(box.count())]
    assert box.currentText() == titles[0] == "as typed"
    assert "ct-clip: … is present." in titles
    number = titles.index("ensemble of 7")
    box.setCurrentIndex(number)
    box.activated.emit(number)
    open_desk.wait()
    assert open_desk.bench.session.answer_to("swirl").prompt.templates == ENSEMBLE
    assert "CT-CLIP's. Mean of their unit vectors" in box.toolTip()
    assert box.accessibleName()
    table = open_desk.bench.prompts.table
    tooltip = table.data(table.index(0, 0), Qt.ItemDataRole.ToolTipRole)
    assert "phrasing ensemble: mean of 7 sentences, e.g. “Evidence of swirl.”" in tooltip
    legend = open_desk.widget.heatmap_legend.text.text()
    assert "<b>swirl</b> (phrasing ensemble)" in legend

    # where the sentences of the ensemble disagree, with a legend of its own
    explore = open_desk.widget.explore
    explore.table.selectRow(0)
    explore.tools.draw_sd()
    open_desk.wait()
    layer = open_desk.viewer.layers["SD across phrasings: swirl"]
    assert layer.contrast_limits[0] == 0.0
    assert layer.data.min() >= 0.0
    assert layer.data.max() > 0.0
    assert "across 7 phrasings of “swirl”" in explore.tools.legend.text()
    assert "not where the finding is" in explore.tools.legend.text()
    open_desk.bench.phrasing.choose(AS_TYPED)
    open_desk.wait()
    # it was across other phrasings
    assert "SD across phrasings: swirl" not in open_desk.viewer.layers
    explore.tools.draw_sd()
    open_desk.wait()
    assert "has one phrasing" in open_desk.status
    open_desk.bench.phrasing.choose(ENSEMBLE)
    open_desk.wait()

    opened: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toLocalFile()))
    box.activated.emit(box.count() - 1)
    assert opened == [str(tmp_path / "own.toml")]
    assert "[my-hospital]" in (tmp_path / "own.toml").read_text("utf-8")
    assert box.currentText() == "ensemble of 7"
    assert str(tmp_path / "own.toml") in open_desk.status

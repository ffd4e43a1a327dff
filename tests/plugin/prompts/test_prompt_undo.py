"""Prompt history: what undo and redo do to the table and the answers."""

from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtCore import QCoreApplication

from napari_ctclip.plugin.prompts.prompt_table import COLUMNS


def step(desk: Any, name: str) -> None:
    menu = desk.widget.explore.tools.menu()
    menu.aboutToShow.emit()
    action = next(action for action in menu.actions() if name in action.text())
    assert action.isEnabled()
    action.trigger()
    desk.wait()


def asked(desk: Any) -> list[str]:
    return [row.prompt.positive for row in desk.bench.prompts.state.rows]


@pytest.fixture
def two(open_desk: Any) -> Any:
    open_desk.ask("bright ball")
    open_desk.ask("dark hole")
    return open_desk


def test_a_removed_prompt_comes_back_with_its_negative_and_is_answered(two: Any) -> None:
    table = two.bench.prompts.table
    table.setData(table.index(0, COLUMNS.index("Negative")), "quiet lung")
    two.wait()
    two.bench.prompts.remove("bright ball")
    QCoreApplication.processEvents()
    step(two, "Undo")
    row = two.bench.prompts.state.find("bright ball")
    assert row.prompt.negative == "quiet lung"
    assert row.answer.prompt == row.prompt
    step(two, "Redo")
    assert asked(two) == ["dark hole"]
    assert two.bench.session.answer_to("bright ball") is None


def test_another_negative_is_taken_back_and_asked_again(two: Any) -> None:
    table = two.bench.prompts.table
    table.setData(table.index(0, COLUMNS.index("Negative")), "quiet lung")
    two.wait()
    step(two, "Undo")
    assert two.bench.session.answer_to("bright ball").prompt.negative == "no bright ball"


def test_several_prompts_typed_at_once_are_one_step(open_desk: Any) -> None:
    open_desk.ask("bright ball; dark hole; nodule")
    step(open_desk, "Undo")
    assert asked(open_desk) == []
    step(open_desk, "Redo")
    assert asked(open_desk) == ["bright ball", "dark hole", "nodule"]


def test_a_new_prompt_after_undo_leaves_nothing_to_redo(two: Any) -> None:
    step(two, "Undo")
    two.ask("nodule")
    assert asked(two) == ["bright ball", "nodule"]
    assert not two.bench.prompts.state.can_redo


def test_nothing_asked_is_nothing_to_undo(open_desk: Any) -> None:
    assert not open_desk.bench.prompts.state.can_undo
    assert not open_desk.bench.prompts.state.can_redo

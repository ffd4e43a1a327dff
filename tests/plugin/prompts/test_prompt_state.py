"""Prompt state: one value that table and heatmaps are drawn from, changed by methods, with undo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_ctclip.core.prompt import Prompt
from napari_ctclip.plugin.prompts.prompt_state import PromptState, ResolvedPrompts
from napari_ctclip.plugin.prompts.prompt_table import PromptTable
from napari_ctclip.session.session import Session
from tests.exporting.asked import asked_session
from tests.phantom import BALL_CENTRE


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """An encoded session that was queried nothing."""
    session = asked_session(tmp_path)
    session.remove("bright spot")
    return session


@pytest.fixture
def state(session: Session) -> PromptState:
    return PromptState(session)


def _seen(state: PromptState) -> list[ResolvedPrompts]:
    seen: list[ResolvedPrompts] = []
    state.changed.connect(lambda: seen.append(state.resolved))
    return seen


def test_changes_made_at_once_are_drawn_once_and_are_one_step(state: PromptState) -> None:
    seen = _seen(state)
    with state.at_once():
        state.add(Prompt("bright spot"))
        state.add(Prompt("dark hole"))
        state.show_only("dark hole")
    (drawn,) = seen
    assert [(row.prompt.positive, row.shown) for row in drawn.rows] == [
        ("bright spot", False),
        ("dark hole", True),
    ]
    state.undo()
    assert state.rows == ()
    assert state.can_redo
    assert not state.can_undo
    state.redo()
    assert [row.prompt.positive for row in state.rows] == ["bright spot", "dark hole"]


def test_a_row_joins_the_prompt_with_the_answer_of_the_session(
    state: PromptState, session: Session
) -> None:
    state.add(Prompt("bright spot"))
    assert state.rows[0].waiting
    answer = session.ask("bright spot")
    (row,) = state.rows
    assert row.answer is answer
    assert not row.waiting
    assert np.abs(np.subtract(row.peak, BALL_CENTRE)).max() <= 6
    assert state.set_negative("bright spot", "anything else")
    assert state.rows[0].waiting
    assert state.rows[0].answer is answer  # until the new one is there
    assert not state.set_negative("bright spot", "anything else")
    session.ask(state.rows[0].prompt)
    assert not state.rows[0].waiting


def test_the_answers_of_a_scan_that_is_left_go_together(
    state: PromptState, session: Session
) -> None:
    session.ask("bright spot")
    session.ask("dark hole")
    seen = _seen(state)
    session.set_study(None)
    (drawn,) = seen
    assert [row.answer for row in drawn.rows] == [None, None]


def test_the_heatmap_range_follows_the_answers_until_it_is_chosen(
    state: PromptState, session: Session
) -> None:
    before = state.resolved.heatmap_range
    session.ask("bright spot")
    assert state.chosen_range is None
    state.choose_range(0.1, 0.1)
    low, high = state.resolved.heatmap_range
    assert low == 0.1
    assert high > low
    session.ask("dark hole")
    assert state.resolved.heatmap_range == (low, high) != before


def test_the_table_draws_the_difference(
    state: PromptState, session: Session, qtbot: object
) -> None:
    for text in ("bright spot", "dark hole", "swirl"):
        state.add(Prompt(text))
    table = PromptTable(state)
    told: list[str] = []
    table.rowsInserted.connect(lambda *_: told.append("inserted"))
    table.rowsRemoved.connect(lambda _, first, last: told.append(f"removed {first}-{last}"))
    table.dataChanged.connect(lambda first, last: told.append(f"changed {first.row()}"))
    state.set_shown("dark hole", True)
    state.remove("bright spot")
    state.add(Prompt("bright spot"))
    state.set_opacity(0.5)
    assert told == ["changed 1", "removed 0-0", "inserted"]
    assert table.rows == state.rows

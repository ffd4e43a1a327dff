"""Prompt tools: two prompts as one map in two colours, and the check of a wording."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QItemSelectionModel

from napari_ctclip.plugin.prompts.word_dialog import WordDialog
from tests.phantom import BALL_CENTRE


def select(desk: Any, *rows: int) -> None:
    table = desk.widget.explore.table
    table.clearSelection()
    flags = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
    for row in rows:
        table.selectionModel().select(table.model().index(row, 0), flags)


def difference(desk: Any) -> Any:
    found = [layer for layer in desk.viewer.layers if layer.name.startswith("More: ")]
    return found[0] if found else None


def choose(desk: Any, title: str) -> None:
    menu = desk.widget.explore.tools.menu()
    next(action for action in menu.actions() if title in action.text()).trigger()
    desk.wait()


@pytest.fixture
def asked(open_desk: Any) -> Any:
    open_desk.ask("bright ball")
    open_desk.ask("dark hole")
    return open_desk


def test_two_prompts_are_one_map_symmetric_about_nothing(asked: Any) -> None:
    select(asked, 0, 1)
    choose(asked, "Compare")
    layer = difference(asked)
    low, high = layer.contrast_limits
    assert low == -high
    ball = asked.bench.scene.frame.index_to_display(BALL_CENTRE)
    assert layer.get_value(ball, world=True) > 0
    orange, nothing, blue = layer.colormap.map(np.array([1.0, 0.5, 0.0]))
    assert orange[0] > orange[2]
    assert blue[2] > blue[0]
    assert nothing[3] == 0
    assert "Orange" in asked.status


def test_a_removed_prompt_takes_the_comparison_with_it(asked: Any) -> None:
    select(asked, 0, 1)
    choose(asked, "Compare")
    asked.bench.prompts.remove("dark hole")
    assert difference(asked) is None


def test_the_legend_says_which_colour_is_which_prompt_while_the_map_is_there(asked: Any) -> None:
    legend = asked.widget.explore.tools.legend
    assert legend.isHidden()
    select(asked, 0, 1)
    choose(asked, "Compare")
    assert not legend.isHidden()
    orange, blue = legend.text().split("<br>")
    assert "orange: more “bright ball”" in orange
    assert "blue: more “dark hole”" in blue
    asked.bench.session.ask(asked.bench.prompts.state.rows[0].prompt)  # drawn anew
    assert not legend.isHidden()
    asked.viewer.layers.remove(difference(asked))
    assert legend.isHidden()


def test_one_prompt_cannot_be_compared_and_the_message_says_what_to_do(asked: Any) -> None:
    select(asked, 0)
    choose(asked, "Compare")
    assert difference(asked) is None
    assert "select two" in asked.status


def test_the_wording_of_a_prompt_is_checked(asked: Any) -> None:
    select(asked, 0)
    choose(asked, "Check the phrasing")
    assert "its negation gives another map" in asked.status


def words_dialog(desk: Any) -> WordDialog:
    (dialog,) = desk.widget.window().findChildren(WordDialog)
    return dialog


def test_ticked_words_are_drawn_with_what_the_map_loses_without_them(open_desk: Any) -> None:
    # without "bright" it means the opposite to this model, which has no attention to words
    open_desk.ask("very dark bright")
    select(open_desk, 0)
    choose(open_desk, "words are")
    dialog = words_dialog(open_desk)
    assert [tick.text() for tick in dialog.words] == ["very", "dark", "bright"]
    assert "no attention" in dialog.kind.text()
    assert not dialog.peak.isEnabled()
    for place in (0, 2):
        dialog.words[place].click()
        open_desk.wait()
    ball = open_desk.bench.scene.frame.index_to_display(BALL_CENTRE)
    assert difference(open_desk).get_value(ball, world=True) > 0
    legend = open_desk.widget.explore.tools.word_legend
    assert "orange: lost without “very … bright”" in legend.text()
    assert "no attention" in legend.text()
    assert not legend.isHidden()
    dialog.peak.click()
    at = open_desk.bench.scene.index_at(open_desk.viewer.dims.point)
    assert np.linalg.norm(np.subtract(at, BALL_CENTRE) * (2.0, 1.5, 1.5)) < 8.0
    dialog.words[1].click()  # all three: nothing is left to compare with
    open_desk.wait()
    assert "nothing is left" in open_desk.status
    assert difference(open_desk) is None
    assert legend.isHidden()
    dialog.words[1].click()
    open_desk.wait()
    assert difference(open_desk) is not None
    open_desk.bench.prompts.remove("very dark bright")
    assert difference(open_desk) is None
    assert legend.isHidden()


def test_a_comparison_takes_the_place_of_the_words(asked: Any) -> None:
    select(asked, 0)
    tools = asked.widget.explore.tools
    asked.bench.words.show(asked.bench.prompts.state.rows[0].prompt, [0])
    asked.wait()
    assert not tools.word_legend.isHidden()
    select(asked, 0, 1)
    choose(asked, "Compare")
    assert difference(asked) is not None
    assert tools.word_legend.isHidden()
    assert not tools.legend.isHidden()
    asked.bench.words.show(asked.bench.prompts.state.rows[0].prompt, [1])
    asked.wait()
    assert tools.legend.isHidden()
    assert not tools.word_legend.isHidden()

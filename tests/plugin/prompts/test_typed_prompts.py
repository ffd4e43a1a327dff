"""Typed prompts: kept across windows, unless they are unwanted or too long to be a prompt."""

from __future__ import annotations

from typing import Any

import pytest

from napari_ctclip.plugin.prompts import typed_prompts
from napari_ctclip.plugin.prompts.prompt_line import PromptLine
from napari_ctclip.plugin.prompts.typed_prompts import remember_prompt, remembered_prompts


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    monkeypatch.setattr(typed_prompts, "setting", lambda name, default: kept.get(name, default))
    monkeypatch.setattr(typed_prompts, "keep_setting", kept.__setitem__)
    return kept


def test_what_was_typed_comes_back_each_once_the_newest_last(settings: dict[str, Any]) -> None:
    remember_prompt("lung  nodule; emphysema")
    remember_prompt("rib fracture")
    remember_prompt("lung nodule")
    assert remembered_prompts() == ["emphysema", "rib fracture", "lung nodule"]


def test_nothing_is_kept_or_offered_once_it_is_turned_off(settings: dict[str, Any]) -> None:
    remember_prompt("lung nodule")
    settings["keep_typed_prompts"] = False
    remember_prompt("emphysema")
    assert remembered_prompts() == []
    assert settings["typed_prompts"] == "lung nodule"


def test_a_pasted_paragraph_is_not_kept(settings: dict[str, Any]) -> None:
    remember_prompt(
        "There is a nodule in the right upper lobe, unchanged since the last scan. " * 2
    )
    assert settings == {}


def test_only_the_last_prompts_are_kept(settings: dict[str, Any]) -> None:
    for number in range(100):
        remember_prompt(f"nodule {number}")
    assert remembered_prompts() == [f"nodule {number}" for number in range(40, 100)]


def test_the_next_window_completes_them(settings: dict[str, Any], qtbot: Any) -> None:
    first = PromptLine()
    qtbot.addWidget(first)
    first.edit.setText("crazy paving")
    first.edit.returnPressed.emit()
    second = PromptLine()
    qtbot.addWidget(second)
    completer = second.edit.completer()
    completer.setCompletionPrefix("crazy")
    assert completer.currentCompletion() == "crazy paving"

"""The prompt line: every finding by menu and completion; typed prompts return in later windows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtGui import QImage
from qtpy.QtWidgets import QMenu

from napari_ctclip.plugin.prompts import prompt_line
from napari_ctclip.plugin.prompts.prompt_line import (
    FALLBACK_PRESETS,
    PromptLine,
    by_region,
    remember_prompt,
    remembered_prompts,
)
from napari_ctclip.reports.abnormality_dictionary import findings_by_anatomy
from tests.plugin.conftest import Desk

pytestmark = pytest.mark.gui


def submenus(menu: QMenu) -> dict[str, QMenu]:
    return {a.text(): a.menu() for a in menu.actions() if a.menu() is not None}


def test_every_finding_is_in_one_region_and_organ() -> None:
    findings = findings_by_anatomy()
    regions = by_region(findings)
    placed = [n for organs in regions.values() for names in organs.values() for n in names]
    assert sorted(placed) == sorted(n for names in findings.values() for n in names)
    assert "Other" not in regions
    assert by_region({"my organ": ["a"]}) == {"Other": {"my organ": ("a",)}}


def test_findings_are_read_when_the_menu_opens_and_not_before(qtbot: Any) -> None:
    calls = []
    line = PromptLine(findings=lambda: calls.append(1) or {"lung": ["cough"]})
    qtbot.addWidget(line)
    assert not calls
    assert not submenus(line.menu)
    line.menu.aboutToShow.emit()
    line.menu.aboutToShow.emit()
    assert calls == [1]
    assert list(submenus(line.menu)) == ["Chest"]
    line.set_presets(["other"])
    assert list(submenus(line.menu)) == ["Chest"]


def test_choosing_a_finding_of_an_organ_asks_it(open_desk: Desk) -> None:
    line = open_desk.widget.explore.line
    line.menu.aboutToShow.emit()
    organ = submenus(submenus(line.menu)["Abdomen and pelvis"])["Liver"]
    action = next(a for a in organ.actions() if a.text() == "liver cyst")
    action.trigger()
    open_desk.wait()
    assert open_desk.bench.session.answer_to("liver cyst") is not None
    everything = next(a for a in organ.actions() if a.text().startswith("All "))
    assert everything.text() == f"All {len(findings_by_anatomy()['liver'])}"


def test_completion_knows_every_finding_and_presets_come_first(qtbot: Any) -> None:
    line = PromptLine(findings=findings_by_anatomy)
    qtbot.addWidget(line)
    qtbot.keyClicks(line.edit, "steatosis")
    completer = line.edit.completer()
    offered = [
        completer.completionModel().index(row, 0).data()
        for row in range(completer.completionCount())
    ]
    assert any("steatosis" in text for text in offered)
    line.edit.clear()
    completer.setCompletionPrefix("lung")
    assert completer.currentCompletion() == FALLBACK_PRESETS[0]


def test_the_open_menu_shows_presets_then_regions(qtbot: Any) -> None:
    line = PromptLine(findings=findings_by_anatomy)
    qtbot.addWidget(line)
    line.resize(500, 40)
    line.show()
    line.menu.popup(line.mapToGlobal(line.rect().bottomLeft()))
    qtbot.waitUntil(line.menu.isVisible)
    picture = line.menu.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    pixels = np.frombuffer(picture.constBits().asstring(picture.sizeInBytes()), np.uint8)
    assert pixels.std() > 20
    titles = [action.text() for action in line.menu.actions()]
    assert titles[: len(FALLBACK_PRESETS)] == list(FALLBACK_PRESETS)
    assert titles[-4:] == ["Chest", "Abdomen and pelvis", "Bones and muscles", "Head and neck"]
    assert line.menu.sizeHint().height() < 700
    line.menu.close()


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    monkeypatch.setattr(prompt_line, "setting", lambda name, default: kept.get(name, default))
    monkeypatch.setattr(prompt_line, "keep_setting", kept.__setitem__)
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

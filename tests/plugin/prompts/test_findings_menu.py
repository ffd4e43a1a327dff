"""Every finding of the dictionary can be asked from the prompt line: by menu and by completion."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtGui import QImage
from qtpy.QtWidgets import QMenu

from napari_ctclip.plugin.prompts.findings_menu import by_region
from napari_ctclip.plugin.prompts.prompt_line import FALLBACK_PRESETS, PromptLine
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

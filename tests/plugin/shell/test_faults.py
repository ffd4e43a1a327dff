"""What goes wrong under a running window leaves it usable, and nothing that was there is lost."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import npe2
import pytest
import safetensors.torch

from napari_ctclip.core.study import Study
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.io import read_volume
from napari_ctclip.plugin.session import autosave_flow
from napari_ctclip.plugin.window import settings
from napari_ctclip.session.files.archive import read_session
from napari_ctclip.simulation.dicom import write_dicom_series
from tests.conftest import SmallDisk
from tests.phantom import BALL_CENTRE, ball_study
from tests.plugin.conftest import Desk
from tests.plugin.shell.test_manifest_and_imports import MANIFEST

pytestmark = pytest.mark.gui


def _told(desk: Desk) -> list[str]:
    told: list[str] = []
    desk.told = lambda message: told.append(message.text)  # type: ignore[attr-defined]
    desk.bench.messages.told.connect(desk.told)  # type: ignore[attr-defined]
    return told


def _is_answered(desk: Desk, prompt: str) -> bool:
    return desk.bench.session.answer_to(prompt) is not None


def test_an_error_while_asking_keeps_the_answers_that_are_there(
    open_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_desk.ask("bright spot")

    def fail(texts: Any) -> None:
        raise RuntimeError("the text encoder broke")

    monkeypatch.setattr(open_desk.model, "embed_text", fail)
    open_desk.ask("dark hole")
    assert "the text encoder broke" in open_desk.status
    assert _is_answered(open_desk, "bright spot")
    row = open_desk.bench.prompts.state.find("dark hole")
    assert row is not None
    assert not row.waiting
    monkeypatch.undo()
    open_desk.ask("dark hole")
    assert _is_answered(open_desk, "dark hole")


def test_a_cache_folder_that_takes_no_files_still_answers(open_desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    open_desk.bench.session.cache = FeatureCache(tmp_path / "taken" / "cache")
    told = _told(open_desk)
    open_desk.ask("bright spot")
    assert _is_answered(open_desk, "bright spot")
    assert any("could not be stored" in text for text in told)


def test_a_full_disk_under_the_cache_still_answers(
    open_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    told = _told(open_desk)
    open_desk.ask("bright spot")
    assert _is_answered(open_desk, "bright spot")
    assert any("No space left on device" in text for text in told)


def test_a_disk_really_full_then_read_only_under_a_window(
    open_desk: Desk, small_disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autosave_flow, "autosave_folder", lambda: small_disk.path / "state")
    bench, told = open_desk.bench, _told(open_desk)
    open_desk.ask("bright spot")
    open_desk.widget.findings.region.click()
    open_desk.wait()
    bench.sessions.save(small_disk.path / "case.ctclip.zip")
    open_desk.wait()
    bench.findings.kept.accept(bench.findings.kept.findings[0].key)
    bench.autosave.keep()
    open_desk.wait()
    older = {path: path.read_bytes() for path in small_disk.path.rglob("*.zip")}
    assert set(older) == {small_disk.path / "case.ctclip.zip", bench.autosave.path}

    def write_all(said: str) -> None:
        told.clear()
        bench.findings.kept.rewrite(bench.findings.kept.findings[0].key, note=said)
        bench.autosave.keep()
        open_desk.wait()
        bench.sessions.save(small_disk.path / "case.ctclip.zip")
        open_desk.wait()
        bench.exports.write(small_disk.path / "out")
        open_desk.wait()
        failed = [text for text in told if said in text and "Nothing else is lost" in text]
        assert len(failed) >= 2, told
        assert {path: path.read_bytes() for path in older} == older
        assert bench.sessions.is_unsaved

    small_disk.fill()
    write_all("No space left on device")
    small_disk.empty()
    small_disk.set_writable(False)
    write_all("Read-only file system")
    open_desk.ask("dark hole")
    assert _is_answered(open_desk, "dark hole")
    small_disk.set_writable(True)
    bench.autosave.keep()
    open_desk.wait()
    assert read_session(bench.autosave.path).findings[0].note == "Read-only file system"


def test_settings_that_cannot_be_stored_hold_until_the_end_and_are_said_once(
    plugin_settings: Any, npe2pm: Any, small_disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    import napari.settings

    npe2pm.register(npe2.PluginManifest.from_file(MANIFEST))
    monkeypatch.setattr(napari.settings, "_CFG_PATH", str(small_disk.path / "settings.yaml"))
    told: list[str] = []
    monkeypatch.setattr(settings, "show_warning", told.append)
    settings.keep_setting("export_folder", "/first")
    stored = small_disk.path / "napari-ctclip.yaml"
    assert "/first" in stored.read_text()
    small_disk.set_writable(False)
    for folder in ("/second", "/third"):
        settings.keep_setting("export_folder", folder)
    assert settings.setting("export_folder", default="") == "/third"
    (message,) = told
    assert f"{stored}: Read-only file system" in message
    assert "/first" in stored.read_text()


@pytest.mark.parametrize("name", ["Organs", "CT"])
def test_a_layer_removed_under_a_running_job(open_desk: Desk, name: str) -> None:
    open_desk.ask("dark hole")
    open_desk.bench.session.cache.clear()
    open_desk.bench.session.set_model(open_desk.model)  # encodes anew
    release = open_desk.ask_and_hold("bright spot")
    open_desk.viewer.layers.remove(name)
    release.set()
    open_desk.wait()
    if name == "CT":
        assert open_desk.bench.session.study is None
        open_desk.open()
    open_desk.ask("bright spot")
    assert _is_answered(open_desk, "bright spot")
    assert open_desk.heat("bright spot").visible


def test_a_heat_and_the_findings_removed_by_hand_come_back_when_asked(open_desk: Desk) -> None:
    open_desk.ask("bright spot")
    open_desk.widget.findings.region.click()
    open_desk.wait()
    for name in ("Heatmap: bright spot", "Findings"):
        open_desk.viewer.layers.remove(name)
    assert len(open_desk.bench.findings.kept.findings) == 1
    open_desk.bench.prompts.set_shown("bright spot", True)
    assert open_desk.heat("bright spot").visible
    open_desk.widget.findings.model.setData(open_desk.widget.findings.model.index(0, 0), "ball")
    assert open_desk.viewer.layers["Findings"].data.any()


def test_two_scans_opened_at_once_end_with_the_second_and_its_answers(desk: Desk) -> None:
    first, second = ball_study(), ball_study()
    second.volume.voxels[second.volume.voxels == 700] = 500
    desk.bench.prompts.add("bright spot")  # refused: no scan yet
    desk.bench.studies.open_study(first)
    release = desk.ask_and_hold("bright spot")
    desk.bench.studies.open_study(second)
    release.set()
    desk.wait()
    assert desk.bench.session.study.volume is second.volume
    answer = desk.bench.session.answer_to("bright spot")
    assert answer is not None
    z, y, x = BALL_CENTRE
    assert desk.bench.session.study.volume.voxels[z, y, x] == 500
    desk.bench.studies.use_layer(desk.viewer.layers["CT"])  # the first one is still there
    desk.wait()
    assert _is_answered(desk, "bright spot")


def test_a_series_whose_files_are_gone_still_answers_and_says_what_cannot_be_written(
    desk: Desk, tmp_path: Path
) -> None:
    folder = tmp_path / "series"
    write_dicom_series(ball_study(), folder)
    desk.open(Study(read_volume(folder, accept_suspicious=True).volume))
    for path in folder.iterdir():
        path.unlink()
    desk.ask("bright spot")
    assert _is_answered(desk, "bright spot")
    desk.widget.findings.region.click()
    desk.wait()
    from napari_ctclip.exporting.content import ExportKind

    told = _told(desk)
    desk.bench.exports.write(tmp_path / "out", kinds=[ExportKind.CSV, ExportKind.SEG])
    desk.wait()
    assert (tmp_path / "out" / "findings.csv").is_file()
    assert any(str(folder) in text for text in told)
    assert len(desk.bench.findings.kept.findings) == 1

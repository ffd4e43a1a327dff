"""Sample data, menu commands and the settings page do what their names say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import npe2
import pytest
from qtpy.QtWidgets import QDialogButtonBox, QFileDialog

import napari_ctclip
from napari_ctclip.core.geometry import INTERNAL_AXES
from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume
from napari_ctclip.plugin.findings.export_dialog import ExportDialog
from napari_ctclip.plugin.shell import menus
from napari_ctclip.plugin.shell.preferences import preferences, preferred_session
from napari_ctclip.plugin.study import sample_data, sample_dialog
from napari_ctclip.plugin.study.sample_dialog import SampleDialog
from napari_ctclip.plugin.window.settings import keep_setting
from napari_ctclip.session.sample_scans import known_samples
from napari_ctclip.session.session import Session
from tests.phantom import ball_study

MANIFEST = Path(napari_ctclip.__file__).parent / "napari.yaml"


def moved(volume: Volume) -> Volume:
    """Return a scan of other content, which no cache knows."""
    return Volume(volume.voxels[::-1].copy(), volume.geometry)


@pytest.fixture
def page(plugin_settings: Any, npe2pm: Any) -> None:
    """The settings page, as a fresh user has it."""
    npe2pm.register(npe2.PluginManifest.from_file(MANIFEST))


# --- samples ------------------------------------------------------------------------------------


def test_the_dicom_sample_is_a_series_that_the_reader_read(monkeypatch):
    monkeypatch.setattr(sample_data, "_DICOM_SPACING_MM", (8.0, 6.0, 6.0))
    ((voxels, properties, kind),) = sample_data.simulated_dicom()
    own = properties["metadata"]["ctclip"]
    folder = Path(own["source"])
    assert kind == "image"
    assert len(list(folder.glob("*.dcm"))) == voxels.shape[0]
    assert own["volume"].geometry.axis_codes == INTERNAL_AXES
    assert -1024 <= voxels.min() < -900 < 300 < voxels.max()
    assert "Lung" in own["volume"].windows
    sample_data._temporary_folder().cleanup()
    sample_data._temporary_folder.cache_clear()
    assert not folder.exists()


def test_a_real_sample_shows_its_licence_before_anything_is_downloaded(
    desk, monkeypatch, tmp_path, shared_data
):
    monkeypatch.setenv("NAPARI_CTCLIP_SAMPLES", str(tmp_path))
    asked = []

    def download(sample: Any, *, progress: Any) -> Path:
        asked.append(sample.name)
        progress("ct-64.nrrd", 1024, 2048)
        return shared_data / "cip" / "ct-64.nrrd"

    monkeypatch.setattr(sample_dialog, "download_sample", download)
    monkeypatch.setattr(menus, "current_viewer", lambda: desk.viewer)
    menus.offer_real_ct()
    (dialog,) = desk.viewer.window._qt_window.findChildren(SampleDialog)
    for row, sample in enumerate(known_samples()):
        dialog.list.setCurrentRow(row)
        assert sample.licence in dialog.about.text()
        assert sample.source in dialog.about.text()
    assert not asked
    dialog.list.setCurrentRow(1)
    dialog.buttons.button(QDialogButtonBox.StandardButton.Ok).click()
    desk.wait()
    assert asked == ["chest-cip"]
    assert desk.bench.session.study.volume.voxels.shape == (79, 64, 64)


# --- menus --------------------------------------------------------------------------------------


@pytest.fixture
def current(open_desk, monkeypatch):
    monkeypatch.setattr(menus, "current_viewer", lambda: open_desk.viewer)
    return open_desk


def test_commands_of_the_menu_act_on_the_open_scan(current, monkeypatch, tmp_path):
    menus.encode_scan()
    current.wait()
    assert current.bench.session.is_ready
    menus.export_answers()
    assert "ask a prompt first" in current.status
    current.ask("bright ball")
    menus.export_answers()
    (dialog,) = current.viewer.window._qt_window.findChildren(ExportDialog)
    dialog.folder.setText(str(tmp_path / "out"))
    dialog.accept()
    current.wait()
    assert (tmp_path / "out" / "scores.csv").is_file()
    cache = current.bench.session.cache
    assert cache.size_bytes() > 0
    menus.clear_cache()
    assert cache.size_bytes() == 0


def test_a_command_without_a_scan_is_one_line(desk, monkeypatch):
    monkeypatch.setattr(menus, "current_viewer", lambda: desk.viewer)
    menus.make_quick_masks()
    assert "no CT is open" in desk.status
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *arguments: ("nowhere.nrrd", ""))
    menus.open_ct()
    desk.wait()
    assert "nowhere.nrrd" in desk.status


# --- settings -----------------------------------------------------------------------------------


def test_settings_are_the_defaults_without_a_page_and_persist_with_one(page, tmp_path):
    assert preferences().device == "auto"
    keep_setting("cache_limit_gb", 2.5)
    keep_setting("cache_folder", str(tmp_path / "kept"))
    keep_setting("device", "cpu")
    session = preferred_session()
    assert session.cache.folder == tmp_path / "kept"
    assert session.cache.limit_bytes == round(2.5 * 2**30)
    assert session.device == "cpu"
    assert "cache_limit_gb: 2.5" in (tmp_path / "napari-ctclip.yaml").read_text()


def test_a_change_takes_effect_in_an_open_panel(page, desk, tmp_path, monkeypatch):
    keep_setting("quick_masks", False)
    assert not desk.widget.data.automatic.isChecked()
    keep_setting("cache_folder", str(tmp_path / "other"))
    assert desk.bench.session.cache.folder == tmp_path / "other"
    keep_setting("model", "my-model")
    assert desk.bench.prompts.model_name == "my-model"
    desk.open()
    loaded = []
    monkeypatch.setattr(
        Session, "compute_model", lambda self, name="starter": loaded.append(name) or desk.model
    )
    desk.ask("bright ball")
    keep_setting("device", "cpu")
    desk.wait()
    assert loaded == ["my-model", "my-model"]  # again, on the other device
    assert desk.bench.session.device == "cpu"
    assert desk.widget.model.device.currentText() == "cpu"
    keep_setting("cache_limit_gb", 0.0)
    kept = desk.bench.session.cache.size_bytes()
    desk.open(ball_study(with_masks=False))
    desk.bench.session.set_study(Study(moved(desk.bench.session.study.volume)))
    desk.bench.prompts.encode()
    desk.wait()
    assert desk.bench.session.is_ready
    assert desk.bench.session.cache.size_bytes() == kept > 0  # nothing more is stored
    keep_setting("model", "another")
    assert desk.bench.prompts.model_name == "my-model"  # the loaded one stays


def test_the_settings_command_shows_our_page(page, desk, monkeypatch, qtbot):
    monkeypatch.setattr(menus, "current_viewer", lambda: desk.viewer)
    menus.open_settings()
    dialog = desk.viewer.window._pref_dialog
    assert dialog._list.currentItem().text() == "CT-CLIP"
    dialog.reject()

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from napari_ctclip.plugin.shell import reader
from napari_ctclip.plugin.shell.reader import get_reader, read_ct
from napari_ctclip.plugin.study import series_dialog
from napari_ctclip.plugin.study.series_dialog import SeriesDialog
from tests.phantom import ball_study
from tests.plugin.conftest import Desk

pytestmark = pytest.mark.gui


@pytest.fixture
def ct_file(tmp_path: Path) -> Path:
    """The ball scan as NIfTI, axes turned."""
    volume = ball_study().volume
    transform = volume.geometry.transform_to("LPS")
    affine = volume.geometry.reoriented(transform).affine
    path = tmp_path / "ball.nii.gz"
    image = nib.Nifti1Image(np.ascontiguousarray(transform.apply(volume.voxels)), affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    return path


def test_reader_contribution_opens_a_ct_that_the_panel_takes(desk: Desk, ct_file: Path) -> None:
    desk.viewer.open(str(ct_file), plugin="napari-ctclip")
    desk.wait()
    volume = desk.bench.session.study.volume
    assert np.array_equal(volume.voxels, ball_study().volume.voxels)
    assert desk.bench.studies.layer is desk.viewer.layers["CT"]
    facts = desk.widget.data.fact_labels
    assert "64 x 48 x 40" in facts["Size"].text()
    assert "LPS in the file" in facts["Orientation"].text()


def test_panel_button_gives_the_same_layer_as_the_reader(desk: Desk, ct_file: Path) -> None:
    ((data, properties, kind),) = read_ct(str(ct_file))
    desk.bench.studies.open_path(ct_file)
    desk.wait()
    layer = desk.viewer.layers["CT"]
    assert kind == "image"
    assert np.array_equal(layer.data, data)
    assert layer.translate == pytest.approx(properties["translate"])
    assert layer.scale == pytest.approx(properties["scale"])


def test_reader_leaves_other_files_alone(tmp_path: Path) -> None:
    text = tmp_path / "notes.nii.gz"
    text.write_text("not a scan")
    assert get_reader(str(text)) is None
    assert get_reader(str(tmp_path)) is None


@pytest.mark.parametrize("name", ["nonsense.nii.gz", "missing.nii"])
def test_bad_file_is_one_line_and_the_panel_goes_on(
    desk: Desk, tmp_path: Path, ct_file: Path, name: str
) -> None:
    if name.startswith("nonsense"):
        (tmp_path / name).write_bytes(b"\x1f\x8bnonsense")
    desk.bench.studies.open_path(tmp_path / name)
    desk.wait()
    assert desk.status.startswith("Error:")
    assert "Traceback" not in desk.status
    assert len(desk.viewer.layers) == 0
    desk.bench.studies.open_path(ct_file)
    desk.wait()
    assert desk.bench.session.study is not None


def test_label_map_opened_as_ct_adds_no_layer(desk: Desk, tmp_path: Path) -> None:
    labels = (ball_study().organ_masks.labels > 1).astype(np.uint8)
    path = tmp_path / "labels.nii.gz"
    nib.save(nib.Nifti1Image(labels, np.eye(4)), path)
    desk.bench.studies.open_path(path)
    desk.wait()
    assert desk.status.startswith("Error:")
    assert len(desk.viewer.layers) == 0


def test_several_series_are_offered(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_ctclip.core.errors import SeriesChoiceNeeded
    from napari_ctclip.io.ct.read import ReadVolume

    asked: list[Any] = []

    def fake_read(path: Any, *, series: int | None = None) -> ReadVolume:
        asked.append(series)
        if series is None:
            raise SeriesChoiceNeeded("choose", ("thin", "thick"))
        return ReadVolume(ball_study().volume)

    monkeypatch.setattr("napari_ctclip.io.ct.read.read_volume", fake_read)
    monkeypatch.setattr(reader, "read_volume", fake_read)
    monkeypatch.setattr(series_dialog, "ask_series", lambda *a, **k: 2)
    monkeypatch.setattr("napari_ctclip.plugin.study.data_tab.ask_series", lambda *a, **k: 2)
    desk.bench.studies.open_path(Path("folder"))
    desk.wait()
    assert asked == [None, 2]
    assert desk.bench.session.study is not None
    assert len(read_ct("folder")) == 1


def test_series_dialog_lists_and_chooses(qtbot: Any) -> None:
    dialog = SeriesDialog(Path("folder"), ("thin", "thick"))
    qtbot.addWidget(dialog)
    assert dialog.series == 1
    dialog.list.setCurrentRow(1)
    assert dialog.series == 2


def test_quick_masks_are_made_in_the_background(desk: Desk) -> None:
    desk.bench.studies.makes_masks_at_once = True
    desk.open(ball_study(with_masks=False))
    assert desk.bench.session.study.organ_masks.source.startswith("quick")
    assert desk.widget.data.organs.rowCount() > 0
    assert "Organs" in desk.viewer.layers


def test_organ_tick_hides_its_outline(open_desk: Desk) -> None:
    from qtpy.QtCore import Qt

    organs = open_desk.widget.data.organs
    organs.setData(organs.index(0, 0), Qt.CheckState.Unchecked, Qt.ItemDataRole.CheckStateRole)
    colours = open_desk.viewer.layers["Organs"].colormap.color_dict
    assert colours[1][3] == 0.0
    assert colours[2][3] == 1.0


def test_masks_of_another_scan_are_refused_in_one_line(open_desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "elsewhere.nii.gz"
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = 5000.0
    nib.save(nib.Nifti1Image(np.ones((10, 10, 10), np.uint8), affine), path)
    open_desk.bench.studies.load_masks(path)
    open_desk.wait()
    assert open_desk.status.startswith("Error:")
    assert open_desk.bench.session.study.organ_masks is not None


def test_volume_of_another_reader_can_be_chosen(desk: Desk) -> None:
    volume = ball_study().volume
    layer = desk.viewer.add_image(volume.voxels, scale=volume.geometry.spacing_mm, name="foreign")
    assert desk.bench.session.study is None
    desk.widget.explore.volume.reset_choices()
    desk.bench.studies.use_layer(layer)
    desk.wait()
    assert np.array_equal(desk.bench.session.study.volume.voxels, volume.voxels)
    assert "another reader" in desk.widget.data.notices.text()

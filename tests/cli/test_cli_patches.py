from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel as nib
import pytest
from matplotlib.image import imread
from typer.testing import CliRunner

from napari_ctclip.cli.main import app
from napari_ctclip.io.export.exports import write_organ_masks
from napari_ctclip.models.published.open_clip_adapter import save_open_clip
from tests.models.small_open_clip import small_open_clip
from tests.phantom import SHAPE, ball_study


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scan, its masks and a small model."""
    folder = tmp_path_factory.mktemp("patches")
    study = ball_study()
    image = nib.Nifti1Image(study.volume.voxels, study.volume.geometry.affine)
    nib.save(image, folder / "ct.nii.gz")
    write_organ_masks(study.organ_masks, study.volume, folder / "organs.nii.gz")
    save_open_clip(small_open_clip("resnet"), folder / "model")
    return folder


def _run(folder: Path, *more: str):
    arguments = ["patches", str(folder / "ct.nii.gz"), "--target", "bright spot"]
    arguments += ["--model", str(folder / "model"), "--out", str(folder / "out")]
    masks = () if "--masks" in more else ("--masks", str(folder / "organs.nii.gz"))
    return CliRunner().invoke(app, [*arguments, *masks, "--size-mm", "24", *more])


def test_montage_table_and_provenance_agree(folder: Path, monkeypatch) -> None:
    monkeypatch.setenv("NAPARI_CTCLIP_CACHE", str(folder / "cache"))
    result = _run(folder, "--grid", "2x3", "--k", "5", "--tile", "20", "--control", "dark air")
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader((folder / "out" / "patches.csv").open()))
    assert [int(row["rank"]) for row in rows] == [1, 2, 3, 4, 5]
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    geometry = ball_study().volume.geometry
    for row in rows:
        z, y, x = geometry.world_to_index([float(row[f"{a}_mm"]) for a in "xyz"])
        assert abs(z - int(row["slice"])) <= 0.51
        assert (float(row["y_first"]) + float(row["y_last"])) / 2 == pytest.approx(y, abs=0.1)
        assert (float(row["x_first"]) + float(row["x_last"])) / 2 == pytest.approx(x, abs=0.1)
    picture = imread(folder / "out" / "montage.png")
    assert picture.shape[:2] == (40, 60)
    empty, last = picture[20:, 40:, 0], picture[20:, 20:40, 0]  # five patches on six tiles
    assert empty.min() == empty.max() < last.max()
    told = json.loads((folder / "out" / "provenance.json").read_text())
    assert told["prompts"]["controls"] == ["dark air"]
    assert told["montage"]["shown"] == 5
    assert told["patches"]["organ"] == "lung"
    assert told["input"]["shape"] == list(SHAPE)
    assert str(folder) not in json.dumps(told["input"])


def test_whole_montage_is_asked_a_task(folder: Path, monkeypatch) -> None:
    monkeypatch.setenv("NAPARI_CTCLIP_CACHE", str(folder / "cache"))
    result = _run(folder, "--grid", "2x2", "--task", "ild_patterns")
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader((folder / "out" / "classes.csv").open()))
    assert len(rows) == 12
    assert sum(float(row["probability"]) for row in rows) == pytest.approx(1, abs=1e-4)
    assert "Usual interstitial pneumonia" in result.output
    told = json.loads((folder / "out" / "provenance.json").read_text())
    assert told["task"] == "ild_patterns"


def test_a_model_of_volumes_finds_patches_and_one_of_pictures_reads_them(
    folder: Path, monkeypatch
) -> None:
    monkeypatch.setenv("NAPARI_CTCLIP_CACHE", str(folder / "cache"))
    result = _run(folder, "--grid", "2x2", "--model", "starter", "--task", "ild_patterns")
    assert result.exit_code == 0, result.output
    told = json.loads((folder / "out" / "provenance.json").read_text())
    assert told["model"]["name"] == "starter"
    assert told["patches"]["scored_by"] == "highest token"
    assert told["read_by"] == "starter-2d"
    assert len(list(csv.DictReader((folder / "out" / "classes.csv").open()))) == 12


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (("--grid", "2by3"), 2, "rows x columns"),
        (("--grid", "2x2", "--k", "5"), 2, "does not fit"),
        (("--organ", "liver"), 3, "no 'liver'"),
        (("--mode", "sum"), 3, "no mode 'sum'"),
        (("--size-mm", "-4"), 3, "cannot be laid"),
        (("--task", "nothing"), 3, "no task set 'nothing'"),
    ],
)
def test_bad_input_is_one_line(folder: Path, more, code: int, message: str, monkeypatch) -> None:
    monkeypatch.setenv("NAPARI_CTCLIP_CACHE", str(folder / "cache"))
    result = _run(folder, *more)
    assert result.exit_code == code
    assert message in " ".join(result.output.replace("│", " ").split())
    assert "Traceback" not in result.output

from __future__ import annotations

import csv
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from napari_ctclip.cli import main as cli
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.io.export.exports import write_organ_masks
from tests.models.small_fvlm import released_weights, write_text_folder
from tests.phantom import ball_study

pytest.importorskip("transformers", reason="fVLM's text encoder needs transformers")

runner = CliRunner()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with model.pth, bert/, ct.nii.gz and organs.nii.gz."""
    monkeypatch.setenv("NAPARI_CTCLIP_CACHE", str(tmp_path / "cache"))
    _, state = released_weights(write_text_folder(tmp_path / "bert"))
    torch.save({"model": state}, tmp_path / "model.pth")
    volume = ball_study().volume
    stored = np.ascontiguousarray(volume.geometry.transform_to("RAS").apply(volume.voxels))
    affine = volume.geometry.reoriented(volume.geometry.transform_to("RAS")).affine
    nib.save(nib.Nifti1Image(stored, affine), tmp_path / "ct.nii.gz")
    labels = np.zeros(volume.geometry.shape, dtype=np.uint8)
    labels[4:36, 6:40, 8:28], labels[8:30, 14:34, 34:56] = 1, 2
    masks = OrganMasks(labels, {"lung": 1, "heart": 2}, volume.geometry)
    write_organ_masks(masks, volume, tmp_path / "organs.nii.gz")
    return tmp_path


def _import(files: Path) -> Path:
    command = ["models", "import", "fvlm", str(files / "model.pth"), "--out", str(files / "fvlm")]
    result = runner.invoke(cli.app, [*command, "--text-encoder", str(files / "bert")])
    assert result.exit_code == 0, result.output
    assert "research use only" in result.output
    return files / "fvlm"


def test_imported_model_scores_organs_and_draws_a_heatmap(files: Path) -> None:
    command = ["score", str(files / "ct.nii.gz"), "--masks", str(files / "organs.nii.gz")]
    command += ["--model", str(_import(files)), "--out", str(files / "out")]
    command += ["--prompt", "Cardiomegaly.", "--negative", "Not Cardiomegaly."]
    result = runner.invoke(cli.app, command)
    assert result.exit_code == 0, result.output
    with (files / "out" / "scores.csv").open(encoding="utf-8") as file:
        rows = {row["anatomy"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"whole scan", "lung", "heart"}
    assert rows["heart"]["similarity"] == rows["whole scan"]["similarity"]
    assert 0.0 < float(rows["heart"]["probability"]) < 1.0
    heatmap = nib.load(files / "out" / "heatmap_cardiomegaly.nii.gz")
    assert np.isfinite(heatmap.get_fdata()).any()


def test_file_that_is_no_release_exits_3_with_one_line(files: Path) -> None:
    (files / "model.pth").write_bytes(b"no weights")
    command = ["models", "import", "fvlm", str(files / "model.pth"), "--out", str(files / "fvlm")]
    result = runner.invoke(cli.app, [*command, "--text-encoder", str(files / "bert")])
    assert result.exit_code == 3
    assert "model.pth" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (files / "fvlm").exists()


def test_unknown_kind_of_model_is_a_bad_command(files: Path) -> None:
    command = ["models", "import", "clip", str(files / "model.pth"), "--out", str(files / "o")]
    assert runner.invoke(cli.app, command).exit_code == 2

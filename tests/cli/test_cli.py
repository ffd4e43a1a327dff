from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

from napari_ctclip.cli import main as cli
from napari_ctclip.session.session import Session
from napari_ctclip.testing import TinyModel
from tests.phantom import BALL_CENTRE, SHAPE, ball_study

runner = CliRunner()


@pytest.fixture(autouse=True)
def _tiny_model_and_private_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NAPARI_CTCLIP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Session, "compute_model", lambda self, name="starter": TinyModel())


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """Write the ball phantom as RAS NIfTI."""
    volume = ball_study().volume
    transform = volume.geometry.transform_to("RAS")
    image = nib.Nifti1Image(
        np.ascontiguousarray(transform.apply(volume.voxels)),
        volume.geometry.reoriented(transform).affine,
    )
    nib.save(image, tmp_path / "ball.nii.gz")
    return tmp_path / "ball.nii.gz"


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "scores.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_score_writes_scores_heatmaps_figures_and_provenance(scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["score", str(scan), "--prompt", "Bright spot", "--masks", "none", "--out", str(out)]
    result = runner.invoke(cli.app, command)
    assert result.exit_code == 0, result.output
    names = {p.name for p in out.iterdir()}
    assert names == {
        "scores.csv",
        "heatmap_bright-spot.nii.gz",
        "figure_bright-spot.png",
        "provenance.json",
    }
    (row,) = _rows(out)
    assert row["negative"] == "no bright spot"
    centre = ball_study().volume.geometry.index_to_world(BALL_CENTRE)
    peak = [float(row[f"peak_{axis}_mm"]) for axis in "xyz"]
    assert np.linalg.norm(np.asarray(peak) - centre) < 8.0
    heatmap = nib.load(out / "heatmap_bright-spot.nii.gz")
    assert heatmap.shape == SHAPE[::-1]
    assert np.allclose(heatmap.affine, nib.load(scan).affine)
    hottest = np.unravel_index(np.nanargmax(heatmap.get_fdata()), heatmap.shape)
    assert np.linalg.norm(nib.affines.apply_affine(heatmap.affine, hottest) - centre) < 8.0
    provenance = json.loads((out / "provenance.json").read_text())
    assert provenance["prompts"][0]["positive"] == "Bright spot"
    assert "ball.nii.gz" not in json.dumps(provenance)


def test_one_negative_serves_all_prompts(scan: Path, tmp_path: Path) -> None:
    command = ["score", str(scan), "--masks", "none", "--out", str(tmp_path / "o")]
    command += ["--prompt", "bright", "--prompt", "bone", "--negative", "dark air"]
    assert runner.invoke(cli.app, command).exit_code == 0
    assert {row["negative"] for row in _rows(tmp_path / "o")} == {"dark air"}


def test_templates_are_named_one_for_all_or_one_each(scan: Path, tmp_path: Path) -> None:
    command = ["score", str(scan), "--masks", "none", "--prompt", "swirl", "--prompt", "bright"]
    plain = runner.invoke(cli.app, [*command, "--out", str(tmp_path / "a")])
    assert "calibration" not in plain.output
    worded = [*command, "--templates", "ensemble", "--out", str(tmp_path / "b")]
    result = runner.invoke(cli.app, worded)
    assert result.exit_code == 0, result.output
    assert "with templates 'ensemble' its probabilities were not checked" in result.output
    both = [*command, "--templates", "as typed", "--templates", "ensemble"]
    assert runner.invoke(cli.app, [*both, "--out", str(tmp_path / "c")]).exit_code == 0
    a, b, c = (_rows(tmp_path / name) for name in "abc")
    assert [row["templates"] for row in c] == ["as typed", "ensemble"]
    assert c[0]["similarity"] == a[0]["similarity"] != b[0]["similarity"]
    assert c[1]["similarity"] == b[1]["similarity"]


def test_unknown_templates_are_refused_before_the_scan_is_read(tmp_path: Path) -> None:
    command = ["score", str(tmp_path / "none.nii.gz"), "--prompt", "a", "--out", str(tmp_path)]
    result = runner.invoke(cli.app, [*command, "--templates", "best"])
    assert result.exit_code == 3
    assert "no templates 'best'; expected one of 'as typed', 'organ-sentence'" in result.output
    many = [*command, *["--prompt", "b"] * 2, *["--templates", "fvlm"] * 2]
    result = runner.invoke(cli.app, many)
    assert result.exit_code == 2
    assert "2 --templates for 3 --prompt" in " ".join(result.output.split())


def test_two_negatives_for_three_prompts_is_a_bad_command(scan: Path, tmp_path: Path) -> None:
    command = ["score", str(scan), "--out", str(tmp_path / "o")]
    for text in ("a", "b", "c"):
        command += ["--prompt", text]
    command += ["--negative", "d", "--negative", "e"]
    assert runner.invoke(cli.app, command).exit_code == 2


def test_empty_prompt_is_a_bad_command(scan: Path, tmp_path: Path) -> None:
    command = ["score", str(scan), "--prompt", "  ", "--out", str(tmp_path / "o")]
    assert runner.invoke(cli.app, command).exit_code == 2


def test_missing_file_exits_3_with_one_line_naming_it(tmp_path: Path) -> None:
    command = ["score", str(tmp_path / "no.nii.gz"), "--prompt", "a", "--out", str(tmp_path / "o")]
    result = runner.invoke(cli.app, command)
    assert result.exit_code == 3
    assert "no.nii.gz" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "o").exists()


def test_same_words_in_two_prompts_get_two_files(scan: Path, tmp_path: Path) -> None:
    command = ["score", str(scan), "--masks", "none", "--out", str(tmp_path / "o")]
    command += ["--prompt", "bright spot", "--prompt", "Bright  spot!"]
    assert runner.invoke(cli.app, command).exit_code == 0
    assert len(list((tmp_path / "o").glob("heatmap_*"))) == 2


def test_segment_writes_quick_masks_on_the_source_grid(scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "organs.nii.gz"
    result = runner.invoke(cli.app, ["segment", str(scan), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert nib.load(out).shape == SHAPE[::-1]

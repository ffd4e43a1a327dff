from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel as nib
import pytest
from typer.testing import CliRunner

from napari_ctclip.cli.main import app
from napari_ctclip.io.export.exports import write_organ_masks
from napari_ctclip.session.session import Session
from napari_ctclip.testing import TinyModel
from tests.phantom import BALL_CENTRE, ball_study


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Give a function that probes a scan with a ball in its left lung."""
    monkeypatch.setenv("NAPARI_CTCLIP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Session, "compute_model", lambda self, name="starter": TinyModel())
    study = ball_study()
    nib.save(
        nib.Nifti1Image(study.volume.voxels, study.volume.geometry.affine), tmp_path / "ct.nii"
    )
    write_organ_masks(study.organ_masks, study.volume, tmp_path / "organs.nii.gz")

    def run(*more: str):
        fixed = ["probe", str(tmp_path / "ct.nii"), "--masks", str(tmp_path / "organs.nii.gz")]
        return CliRunner().invoke(app, [*fixed, *more])

    return run


def _at(index: tuple[int, int, int]) -> str:
    return ",".join(f"{mm:.2f}" for mm in ball_study().volume.geometry.index_to_world(index))


def test_ball_names_the_lesion_and_writes_the_same_table(run, tmp_path: Path) -> None:
    out = tmp_path / "place"
    result = run("--at", _at(BALL_CENTRE), "--radius", "6", "--most", "3", "--out", str(out))
    assert result.exit_code == 0, result.output
    assert "left lung 100%" in result.output
    assert "mean 700 ± 0 HU" in result.output
    assert "not a probability of disease" in result.output
    rows = list(csv.DictReader((out / "findings.csv").open(encoding="utf-8")))
    assert len(rows) > 20
    printed = [line for line in result.output.splitlines() if line.startswith(rows[0]["finding"])]
    assert len(printed) == 1
    assert f"{float(rows[0]['similarity']):+.3f}" in printed[0]
    assert "similar 1: " in result.output
    told = json.loads((out / "roi.json").read_text(encoding="utf-8"))
    assert told["model"]["name"] == "tiny"
    assert told["roi"]["middle_voxel_zyx"] == list(BALL_CENTRE)


def test_box_sides_are_right_left_front_back_up_down(run, tmp_path: Path) -> None:
    out = tmp_path / "place"
    result = run("--at", _at((20, 24, 20)), "--size", "15,6,10", "--out", str(out))
    assert result.exit_code == 0, result.output
    told = json.loads((out / "roi.json").read_text(encoding="utf-8"))
    assert told["roi"]["voxels"] == 10 * 4 * 5


def test_an_organ_and_a_prompt_of_one_s_own_are_asked(run) -> None:
    result = run("--organ", "lung_left", "--prompt", "bright thing", "--most", "99")
    assert result.exit_code == 0, result.output
    assert "bright thing" in result.output
    assert "similar: None for most of an organ" in result.output
    assert "similar 1: " not in result.output
    assert "too few control regions of this shape" in result.output


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ((), 2, "--at x,y,z or --organ"),
        (("--at", "1,2"), 2, "three numbers in mm"),
        (("--at", "1,2,nan"), 2, "three numbers in mm"),
        (("--at", "1,2,3", "--radius", "inf"), 2, "no number of mm"),
        (("--at", "1,2,3", "--size", "0,1,1"), 2, "three sides above 0 mm"),
        (("--at", "1,2,3", "--radius", "5", "--size", "1,1,1"), 2, "one of --radius, --size"),
        (("--at", "900,0,0"), 3, "lies outside the scan, which reaches x -"),
        (("--organ", "liver"), 3, "hold no 'liver'"),
    ],
)
def test_bad_places_get_one_line(run, options: tuple[str, ...], code: int, said: str) -> None:
    result = run(*options)
    assert result.exit_code == code, result.output
    assert said in " ".join(result.output.replace("│", " ").split())

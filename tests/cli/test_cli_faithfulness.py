from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from matplotlib.image import imread
from typer.testing import CliRunner

from napari_ctclip.cli import main as cli
from napari_ctclip.session.session import Session
from napari_ctclip.testing import TinyModel
from tests.phantom import BALL_CENTRE, ball_study

runner = CliRunner()


@pytest.fixture(autouse=True)
def _tiny_model_and_private_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NAPARI_CTCLIP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Session, "compute_model", lambda self, name="starter": TinyModel())


@pytest.fixture
def scan(tmp_path: Path) -> tuple[Path, Path]:
    """Write the ball phantom and its organ masks as RAS NIfTI; return the files."""
    study = ball_study()
    turn = study.volume.geometry.transform_to("RAS")
    affine = study.volume.geometry.reoriented(turn).affine
    for name, voxels in (("ball", study.volume.voxels), ("lungs", study.organ_masks.labels)):
        image = nib.Nifti1Image(np.ascontiguousarray(turn.apply(voxels)), affine)
        nib.save(image, tmp_path / f"{name}.nii.gz")
    legend = {str(label): name for name, label in study.organ_masks.legend.items()}
    (tmp_path / "legend.json").write_text(json.dumps(legend), encoding="utf-8")
    return tmp_path / "ball.nii.gz", tmp_path / "lungs.nii.gz"


def _run(*words: str) -> str:
    result = runner.invoke(cli.app, list(words))
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("given", ["peak", "mm"])
def test_occlude_writes_scores_before_and_after_beside_controls(
    scan: tuple[Path, Path], tmp_path: Path, given: str
) -> None:
    ct, masks = scan
    x, y, z = ball_study().volume.geometry.index_to_world(BALL_CENTRE)
    at = "peak" if given == "peak" else f"{x:.1f},{y:.1f},{z:.1f}"
    output = _run(
        *("occlude", str(ct), "--prompt", "bright spot", f"--at={at}", "--radius", "9"),
        *("--masks", str(masks), "--legend", str(tmp_path / "legend.json")),
        *("--controls", "2", "--out", str(tmp_path / "out")),
    )
    assert "more than 2 of 2 controls" in output
    with (tmp_path / "out" / "occlusion.csv").open(encoding="utf-8") as file:
        rows = {row["where"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"whole scan", "lung_left", "the region itself"}
    for row in rows.values():
        assert float(row["change"]) == pytest.approx(
            float(row["after"]) - float(row["before"]), abs=2e-6
        )
        assert float(row["change"]) < -0.2
        assert row["controls"] == "2"
        assert row["control_2"]
    facts = json.loads((tmp_path / "out" / "occlusion.json").read_text(encoding="utf-8"))
    assert facts["occlusion"]["organ"] == "lung_left"
    assert np.linalg.norm(np.subtract(facts["occlusion"]["centre_mm"], (x, y, z))) < 9.0
    assert "model" in facts
    picture = imread(tmp_path / "out" / "occlusion.png")[..., :3]
    assert picture.shape[1] > 1200
    assert picture.std() > 0.1


def test_deletion_test_writes_the_curves_and_says_the_budget(
    scan: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    output = _run(
        *("deletion-test", str(scan[0]), "--prompt", "bright spot", "--masks", "none"),
        *("--out", str(out)),
    )
    assert "bring nine tenths of the score back" in output
    with (out / "deletion_curve.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["tokens"]) for row in rows] == sorted(int(row["tokens"]) for row in rows)
    middle = rows[5]
    assert float(middle["deletion"]) < float(middle["reference_deletion"])
    assert float(middle["insertion"]) > float(middle["reference_insertion"])
    facts = json.loads((out / "deletion_curve.json").read_text(encoding="utf-8"))
    assert facts["map_test"]["tokens_that_bring_back_nine_tenths"] > 0
    assert (out / "deletion_curve.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--at=here",), 2, "is not three numbers in mm"),
        (("--at=0,0,9000",), 3, "outside the scan"),
        (("--radius", "300"), 3, "cannot be filled"),
        (("--masks", "nowhere.nii.gz"), 3, "nowhere.nii.gz"),
    ],
)
def test_bad_input_is_one_clear_line(
    scan: tuple[Path, Path], tmp_path: Path, words: tuple[str, ...], code: int, told: str
) -> None:
    base = ("occlude", str(scan[0]), "--prompt", "bright spot", "--out", str(tmp_path / "out"))
    masks = () if "--masks" in words else ("--masks", "none")
    result = runner.invoke(cli.app, [*base, *masks, *words])
    assert result.exit_code == code
    assert told in " ".join(result.output.replace("│", " ").split())
    assert "Traceback" not in result.output

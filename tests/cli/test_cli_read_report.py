"""``napari-ctclip read-report`` as a user runs it."""

from __future__ import annotations

import csv
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

from napari_ctclip.cli import main as cli
from napari_ctclip.session.session import Session
from napari_ctclip.testing import TinyModel
from tests.phantom import ball_study

runner = CliRunner()


@pytest.fixture
def scan(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Write the ball phantom as RAS NIfTI; any model is the tiny one."""
    model = TinyModel()
    model.suggested_prompts = ("lung nodule",)
    monkeypatch.setenv("NAPARI_CTCLIP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Session, "compute_model", lambda self, name="starter": model)
    volume = ball_study().volume
    transform = volume.geometry.transform_to("RAS")
    voxels = np.ascontiguousarray(transform.apply(volume.voxels))
    affine = volume.geometry.reoriented(transform).affine
    nib.save(nib.Nifti1Image(voxels, affine), tmp_path / "ball.nii.gz")
    return tmp_path / "ball.nii.gz"


def test_every_sentence_gets_a_row_with_its_verdict_and_peak(scan: Path, tmp_path: Path) -> None:
    report, out = tmp_path / "report.txt", tmp_path / "read.csv"
    report.write_text("There is a lung nodule. Gallstones are seen.", "utf-8")
    command = ["read-report", str(scan), str(report), "--masks", "none", "--out", str(out)]
    result = runner.invoke(cli.app, command)
    assert result.exit_code == 0, result.output
    with out.open(encoding="utf-8") as file:
        nodule, gallstone = csv.DictReader(file)
    assert nodule["verdict"] == "supported"
    assert np.isfinite([float(nodule[f"peak_{axis}_mm"]) for axis in "xyz"]).all()
    assert gallstone["verdict"] == "not trained on it"
    assert "0 in which scan and report disagree" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("content", "says"), [(None, "no such file"), (b"  \n", "empty"), (b"\xff\xfe\xfa", "UTF-8")]
)
def test_a_report_that_cannot_be_read_gives_one_clear_line(
    scan: Path, tmp_path: Path, content: bytes | None, says: str
) -> None:
    report = tmp_path / "report.txt"
    if content is not None:
        report.write_bytes(content)
    result = runner.invoke(cli.app, ["read-report", str(scan), str(report)])
    assert result.exit_code == 3
    assert says in result.output
    assert "Traceback" not in result.output

"""``napari-ctclip words``: the map of some words, printed and written."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

from napari_ctclip.cli.main import app
from napari_ctclip.session.session import Session
from napari_ctclip.testing import TinyModel
from tests.phantom import BALL_CENTRE, ball_study


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Give a function that asks for words in a scan with a ball."""
    monkeypatch.setenv("NAPARI_CTCLIP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Session, "compute_model", lambda self, name="starter": TinyModel())
    volume = ball_study().volume
    nib.save(nib.Nifti1Image(volume.voxels, volume.geometry.affine), tmp_path / "ct.nii")
    return lambda *more: CliRunner().invoke(app, ["words", str(tmp_path / "ct.nii"), *more])


def test_the_words_are_found_at_the_ball_and_written_with_their_kind(run, tmp_path: Path) -> None:
    out = tmp_path / "words.nii.gz"
    result = run("dark, bright.", "--word", "bright", "--out", str(out))
    assert result.exit_code == 0, result.output
    assert "“bright.” of “dark, bright.”" in result.output
    assert "no attention" in result.output
    image = nib.load(out)
    assert b"difference without the words" in bytes(image.header["descrip"])
    values = np.nan_to_num(np.asanyarray(image.dataobj), nan=-1)
    peak = np.unravel_index(values.argmax(), values.shape)
    centre = ball_study().volume.geometry.index_to_world(BALL_CENTRE)
    found = nib.affines.apply_affine(image.affine, peak)
    assert np.linalg.norm(found - centre) < 8.0
    row = next(line for line in result.output.splitlines() if line.strip().startswith("1 "))
    assert np.linalg.norm(np.array(row.split()[2:], dtype=float) - centre) < 8.0


def test_a_word_that_is_not_there_is_one_line_with_those_that_are(run) -> None:
    result = run("lung nodule", "--word", "mass")
    assert result.exit_code == 3
    assert "--word 'mass' is no word of “lung nodule”" in " ".join(result.output.split())
    assert "Traceback" not in result.output

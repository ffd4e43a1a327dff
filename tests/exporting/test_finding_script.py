"""The script of one finding, and the command in it, give the numbers of the table."""

from __future__ import annotations

import re
import runpy
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_ctclip.cli.main import app
from napari_ctclip.core.errors import CtClipError, DataError
from napari_ctclip.core.finding import Finding
from napari_ctclip.core.region import Region
from napari_ctclip.exporting.content import ExportContent
from napari_ctclip.exporting.reproduction_script import finding_script, write_script
from napari_ctclip.io import read_volume
from napari_ctclip.session.findings_session import FindingsSession
from napari_ctclip.session.session import Session
from napari_ctclip.testing import TinyModel
from tests.exporting.asked import (
    PROMPT,
    asked_session,
    ball_finding,
    content_of,
    drawn_finding,
    point_finding,
)
from tests.io.scan_files import write_nifti
from tests.phantom import BALL_CENTRE, ball_study

BOX = Region.of(np.ones((5, 5, 6), dtype=bool), start=(18, 28, 41))


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Session, Path]:
    """A session on a file with organ masks from elsewhere, and the file."""
    stored = np.ascontiguousarray(ball_study().volume.voxels.transpose(2, 1, 0)[:, ::-1, ::-1])
    path = write_nifti(tmp_path / "ct.nii.gz", stored, np.diag([1.5, 1.5, 2.0, 1.0]))
    volume = read_volume(path, accept_suspicious=True).volume
    study = ball_study()
    masks = replace(study.organ_masks, geometry=volume.geometry, source="atlas.nii.gz")
    monkeypatch.setattr("napari_ctclip.models.factory.load_model", lambda name, device: TinyModel())
    monkeypatch.setenv("NAPARI_CTCLIP_CACHE", str(tmp_path / "again"))
    return asked_session(tmp_path, replace(study, volume=volume, organ_masks=masks)), path


def _kinds(session: Session) -> dict[str, Finding]:
    drawn = drawn_finding(session, BOX)
    return {
        "heat": ball_finding(session),
        "point": point_finding(session),
        "spot": FindingsSession(session).compute_point(BALL_CENTRE, positive=PROMPT),
        "drawn": drawn,
        "drawn, then rejected": drawn.rejected(),
        "drawn, not asked": replace(drawn, similarity=None, probability=None),
    }


def _written(content: ExportContent, finding: Finding, path: Path) -> tuple[Path, ...]:
    script = finding_script(content, finding.key, name=path.name)
    return write_script(script, path, volume=content.study.volume)


def _command(text: str) -> list[str]:
    told = re.search(r"napari-ctclip (measure CT.*?)\n\n?\"\"\"", text, re.DOTALL)
    assert told is not None
    return shlex.split(told[1].replace("\\\n", " "))


@pytest.mark.parametrize(
    "kind", ["heat", "point", "spot", "drawn", "drawn, then rejected", "drawn, not asked"]
)
def test_script_and_command_give_the_numbers_of_the_table(
    asked: tuple[Session, Path], tmp_path: Path, monkeypatch, capsys, kind: str
) -> None:
    session, ct = asked
    finding = _kinds(session)[kind]
    content = content_of(session, point_finding(session), finding)
    script, *beside = _written(content, finding, tmp_path / "out" / "mine.py")
    assert all(path.name.startswith("mine_") for path in beside)
    text = script.read_text("utf-8")
    assert str(ct.parent) not in text
    volume_ml = "" if finding.volume_ml is None else f"{finding.volume_ml:.4f}"
    similarity = "" if finding.similarity is None else f"{finding.similarity:.6f}"
    hounsfield = f"{finding.mean_hounsfield:.2f}"
    monkeypatch.setattr(sys, "argv", [str(script), str(ct)])
    capsys.readouterr()
    runpy.run_path(str(script), run_name="__main__")
    (line,) = capsys.readouterr().out.splitlines()
    assert line.split("\t") == ["finding", "2", volume_ml, hounsfield, similarity]
    monkeypatch.chdir(script.parent)
    words = [str(ct) if word == "CT" else word for word in _command(text)]
    result = CliRunner().invoke(app, [*words, "--accept-suspicious"])
    assert result.exit_code == 0, result.output
    lines = result.stdout.replace("mean HU", "hu").splitlines()
    told = dict(line.split(maxsplit=1) for line in lines)
    assert told["volume"] == (f"{volume_ml} ml" if volume_ml else "-")
    assert told["hu"] == hounsfield
    assert told["similarity"] == (f"{finding.similarity:+.6f}" if similarity else "-")


def test_a_finding_of_another_model_asks_for_that_model(asked: tuple[Session, Path]) -> None:
    session, _ = asked
    made = ball_finding(session)
    other = replace(made, origin=replace(made.origin, model="of then", weights_sha256="f" * 64))
    with pytest.raises(CtClipError, match="made by model 'of then' and another one is loaded"):
        finding_script(content_of(session, other), other.key)
    with pytest.raises(CtClipError, match="not in the table any more"):
        finding_script(content_of(session, other), made.key + "x")


def test_a_folder_that_takes_no_script_is_one_line(asked: tuple[Session, Path], tmp_path: Path):
    session, _ = asked
    made = ball_finding(session)
    (tmp_path / "taken").write_text("")
    with pytest.raises(DataError, match="choose another folder"):
        _written(content_of(session, made), made, tmp_path / "taken" / "r.py")


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ((), 2, "--at x,y,z or --region"),
        (("--at", "0,0,0", "--threshold", "0.1"), 2, "--threshold needs --at"),
        (("--at", "0,0"), 2, "three numbers in mm"),
        (("--at=900,0,0",), 3, "lies outside the scan"),
        (("--region", "none.nii.gz"), 3, "none.nii.gz"),
    ],
)
def test_bad_options_are_one_line(
    asked: tuple[Session, Path], options: tuple[str, ...], code: int, said: str
) -> None:
    fixed = ["measure", str(asked[1]), "--masks", "none", "--accept-suspicious"]
    result = CliRunner().invoke(app, [*fixed, *options])
    assert result.exit_code == code, result.output
    assert said in " ".join(result.output.replace("│", " ").split())
    assert "Traceback" not in result.output

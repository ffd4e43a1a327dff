"""Exports from the command line, as a user types them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from napari_ctclip.cli.export import kinds_of
from napari_ctclip.cli.main import app
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.session.files.archive import SessionState, write_session
from napari_ctclip.session.files.saved_session import SavedPrompt
from napari_ctclip.session.session import Session
from napari_ctclip.simulation.dicom import write_dicom_series
from napari_ctclip.testing import TinyModel
from tests.exporting.asked import asked_session, ball_finding
from tests.phantom import ball_study


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Session, "compute_model", lambda self, name="starter": TinyModel())
    monkeypatch.setenv("NAPARI_CTCLIP_CACHE", str(tmp_path / "cache"))


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def test_score_writes_every_kind_of_a_dicom_series(tmp_path: Path):
    write_dicom_series(ball_study(), tmp_path / "ct")
    options = ["--masks", "none", "--prompt", "bright spot", "--findings-at", 0.5]
    out = tmp_path / "out"
    code, text = run("score", tmp_path / "ct", *options, "--export", "all", "--out", out)
    assert code == 0, text
    names = {path.name for path in out.iterdir()}
    assert names >= {
        "scores.csv", "findings.csv", "findings.nii.gz", "findings_seg.dcm", "report.html",
        "heatmap_bright-spot_pm.dcm", "report.pdf", "reproduce.py", "provenance.json",
    }  # fmt: skip


def test_export_writes_a_saved_session(tmp_path: Path):
    session = asked_session(tmp_path)
    state = SessionState(
        session.study,
        session.model,
        "tiny",
        [SavedPrompt(Prompt("bright spot"), shown=True)],
        findings=[ball_finding(session)],
    )
    path = write_session(state, tmp_path / "case.ctclip.zip")
    code, text = run("export", path, "--out", tmp_path / "out", "--export", "csv")
    assert code == 0, text
    assert "bright spot" in (tmp_path / "out" / "findings.csv").read_text()


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--export", "docx"], 2, "docx"),
        (["--figure-size", "big"], 2, "width x height"),
    ],
)
def test_bad_options_are_one_line(tmp_path: Path, options: list[str], code: int, words: str):
    got, text = run("export", tmp_path / "none.ctclip.zip", "--out", tmp_path, *options)
    assert got == code
    assert words in " ".join(text.split())


def test_a_missing_session_is_one_line(tmp_path: Path):
    code, text = run("export", tmp_path / "none.ctclip.zip", "--out", tmp_path / "out")
    assert code == 3
    assert "there is no session file" in " ".join(text.split())


def test_the_spelling_of_version_0_1_still_names_the_script():
    assert kinds_of(["recipe", "csv"]) == kinds_of(["script", "csv"]) == ("script", "csv")

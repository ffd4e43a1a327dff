"""What an export says can be read elsewhere, made again, and names nobody."""

from __future__ import annotations

import csv
import json
import re
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from matplotlib.image import imread
from pypdf import PdfReader

from napari_ctclip.core.errors import CtClipError, DataError
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.region import Region
from napari_ctclip.core.template_set import AS_TYPED, TemplateSet
from napari_ctclip.exporting.content import RESEARCH_USE, ExportKind
from napari_ctclip.exporting.reproduction_script import export_script
from napari_ctclip.exporting.write_exports import write_exports
from napari_ctclip.io import read_volume
from napari_ctclip.io.template_files import read_templates
from napari_ctclip.session.findings_session import FindingsSession
from napari_ctclip.session.session import Session
from napari_ctclip.simulation.dicom import write_dicom_series
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
OWN = TemplateSet("two ways", ("{}", "odd {}"), (*(f"no {w} {{}}" for w in "abcdefgh"), "some {}"))
PATIENT = "Doe-Jane"  # one part: highdicom warns of it, and quotes it


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_region_is_the_connected_heat_about_the_spot(tmp_path: Path):
    session = asked_session(tmp_path)
    finding = ball_finding(session)
    assert finding.region is not None
    assert finding.region.contains(finding.index)
    assert finding.anatomy == "lung_left"
    inside = session.study.volume.voxels[finding.region.box][finding.region.mask]
    assert finding.mean_hounsfield == pytest.approx(inside.mean())
    assert finding.volume_ml == pytest.approx(len(inside) * 2.0 * 1.5 * 1.5 / 1000)
    with pytest.raises(DataError, match="below the threshold"):
        FindingsSession(session).compute_region(PROMPT, threshold=0.3, seed=(5, 24, 20))


def test_findings_are_undone_and_redone_and_come_back_with_their_scan(tmp_path: Path):
    session = asked_session(tmp_path)
    findings, study = FindingsSession(session), session.study
    made = ball_finding(session)
    findings.put(made)
    findings.rewrite(made.key, note="growing")
    findings.reject(made.key)
    findings.undo()
    assert [(f.note, str(f.state)) for f in findings.findings] == [("growing", "edited")]
    findings.undo()
    findings.undo()
    assert findings.findings == ()
    findings.redo()
    assert findings.findings == (made,)
    session.set_study(None)
    assert findings.findings == ()
    session.set_study(study)
    assert findings.findings == (made,)


@pytest.fixture
def from_nifti(tmp_path: Path) -> tuple[Session, Path]:
    """A session on a NIfTI file, and the file."""
    stored = np.ascontiguousarray(ball_study().volume.voxels.transpose(2, 1, 0)[:, ::-1, ::-1])
    path = write_nifti(tmp_path / "ct.nii.gz", stored, np.diag([1.5, 1.5, 2.0, 1.0]))
    volume = read_volume(path, accept_suspicious=True).volume
    study = replace(ball_study(with_masks=False), volume=volume)
    return asked_session(tmp_path, study), path


def test_nifti_exports_have_the_affine_of_the_source(from_nifti, tmp_path: Path):
    session, path = from_nifti
    write_exports(
        content_of(session, ball_finding(session)), tmp_path / "out", kinds=[ExportKind.NIFTI]
    )
    source = nibabel.load(path)
    for name in ("heatmap_bright-spot.nii.gz", "findings.nii.gz"):
        image = nibabel.load(tmp_path / "out" / name)
        np.testing.assert_allclose(image.affine, source.affine, atol=1e-5)
        assert image.shape == source.shape
    labels = np.asanyarray(nibabel.load(tmp_path / "out" / "findings.nii.gz").dataobj)
    hounsfield = np.asanyarray(source.dataobj)[labels == 1]
    assert hounsfield.mean() > 600


@pytest.mark.parametrize("templates", [AS_TYPED, OWN])
def test_executing_the_script_gives_the_numbers_again(
    from_nifti, tmp_path: Path, monkeypatch, capsys, templates
):
    session, path = from_nifti
    session.ask(Prompt(PROMPT, templates=templates))
    drawn = drawn_finding(session, BOX)
    content = content_of(session, ball_finding(session), point_finding(session), drawn)
    out = tmp_path / "out"
    write_exports(content, out, kinds=[ExportKind.CSV, ExportKind.SCRIPT])
    text = (out / "reproduce.py").read_text("utf-8")
    assert str(path) not in text
    assert re.findall(r"napari_ctclip[.\w]*", text) == ["napari_ctclip"]  # no module below it
    monkeypatch.setattr("napari_ctclip.models.factory.load_model", lambda name, device: TinyModel())
    monkeypatch.setattr(sys, "argv", ["reproduce.py", str(path)])
    monkeypatch.setenv("NAPARI_CTCLIP_CACHE", str(tmp_path / "cache of the script"))
    capsys.readouterr()
    runpy.run_path(str(out / "reproduce.py"), run_name="__main__")
    first = capsys.readouterr().out
    runpy.run_path(str(out / "reproduce.py"), run_name="__main__")  # now from the cache
    assert capsys.readouterr().out == first
    lines = [line.split("\t") for line in first.splitlines()]
    scores = [(r["prompt"], r["anatomy"], r["similarity"]) for r in rows(out / "scores.csv")]
    assert [tuple(line[1:]) for line in lines if line[0] == "score"] == scores
    found = [
        [r["number"], r["volume_ml"], r["mean_hu"], r["similarity"]]
        for r in rows(out / "findings.csv")
    ]
    assert [line[1:] for line in lines if line[0] == "finding"] == found
    assert len(found) == 3
    # the command in the script takes the same words, from the file beside it
    command = (out / "reproduce.py").read_text("utf-8").split('"""')[1]
    assert ("--templates templates_two-ways.toml" in command) == (templates == OWN)
    if templates == OWN:
        assert read_templates(out / "templates_two-ways.toml") == OWN
    told = json.loads((out / "provenance.json").read_text("utf-8"))["prompts"][0]["templates"]
    assert told["positive"] == list(templates.positive)
    assert {r["templates"] for r in rows(out / "scores.csv")} == {templates.name}
    assert {r["prompt_ensemble"] for r in rows(out / "findings.csv")} == {templates.name, ""}


def test_prompts_in_different_templates_have_one_option_each(tmp_path: Path):
    session = asked_session(tmp_path)
    session.ask(Prompt("dark hole", templates=read_templates("ct-clip")))
    text = export_script(content_of(session)).text
    options = [line.strip(" \\") for line in text.splitlines() if "--templates" in line]
    assert options == ["--templates 'as typed'", "--templates ct-clip"]
    assert "TemplateSet(name='ct-clip', positive=('{} is present.',)" in text


def test_the_script_refuses_another_scan(from_nifti, tmp_path: Path, monkeypatch):
    session, _ = from_nifti
    write_exports(content_of(session), tmp_path / "out", kinds=[ExportKind.SCRIPT])
    write_dicom_series(ball_study(), tmp_path / "other")
    monkeypatch.setattr(sys, "argv", ["reproduce.py", str(tmp_path / "other")])
    with pytest.raises(AssertionError, match="another scan"):
        runpy.run_path(str(tmp_path / "out" / "reproduce.py"), run_name="__main__")


def test_a_picture_has_the_size_asked_for(tmp_path: Path):
    session = asked_session(tmp_path)
    content = content_of(session, ball_finding(session))
    write_exports(content, tmp_path / "out", kinds=[ExportKind.PNG], figure_size=(1200, 400))
    for name in ("figure_bright-spot", "finding_1"):
        assert imread(tmp_path / "out" / f"{name}.png").shape[:2] == (400, 1200)
    with pytest.raises(DataError, match="expected 200 to 10000"):
        write_exports(content, tmp_path / "out", kinds=[ExportKind.PNG], figure_size=(10, 400))


def test_reports_and_tables_name_no_patient_and_warn_once(tmp_path: Path, recwarn):
    folder = tmp_path / "ct"
    for path in write_dicom_series(ball_study(), folder):
        header = pydicom.dcmread(path)
        header.PatientName, header.PatientID = PATIENT, "id-4711"
        header.save_as(path)
    study = replace(ball_study(with_masks=False), volume=read_volume(folder).volume)
    session = asked_session(tmp_path, study)
    written = write_exports(
        content_of(session, ball_finding(session)), tmp_path / "out", kinds=list(ExportKind)
    )
    assert not written.notices
    assert not [warning for warning in recwarn if PATIENT in str(warning.message)]
    for path in written.files:
        carries = PATIENT.encode() in path.read_bytes()
        assert carries == (path.suffix == ".dcm"), path
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert page.count(RESEARCH_USE) == 1
    assert "<script" not in page
    assert not re.search(r'src="(?!data:)', page)


def test_the_pdf_is_the_page_printed_with_its_letters_as_text(tmp_path: Path):
    session = asked_session(tmp_path)
    finding = replace(ball_finding(session), name="Rundherd ≥ 3 мм", note="grown " * 800)
    content = content_of(session, finding, point_finding(session))
    for folder in ("out", "again"):
        assert not write_exports(content, tmp_path / folder, kinds=[ExportKind.PDF]).notices
    made = (tmp_path / "out" / "report.pdf").read_bytes()
    assert made == (tmp_path / "again" / "report.pdf").read_bytes()
    pages = PdfReader(tmp_path / "out" / "report.pdf").pages
    text = "\n".join(page.extract_text() for page in pages)
    for word in ("CT-CLIP findings", "Rundherd ≥ 3 мм", "Contrasted with", "import napari_ctclip"):
        assert word in text
    assert text.count(RESEARCH_USE) == len(pages) + 1
    width, height = (float(side) for side in pages[0].mediabox[2:])
    assert width > height
    assert sum(len(page.images) for page in pages) == 3  # of the prompt, and of two findings


def test_nothing_to_export_is_one_line():
    session = Session(device="cpu")
    session.set_study(ball_study())
    with pytest.raises(CtClipError, match="ask a prompt first, or add a finding"):
        content_of(session)
    assert FindingsSession(session).compute_point(BALL_CENTRE).mean_hounsfield == 700.0

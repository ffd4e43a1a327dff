"""A saved session comes back whole, or says why it does not; a failed save harms nothing."""

from __future__ import annotations

import json
import resource
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_ctclip.core.errors import CheckpointMismatch, DataError, UnreadableFile
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.template_set import TemplateSet
from napari_ctclip.core.volume import Window
from napari_ctclip.io import read_volume
from napari_ctclip.session.files.archive import SessionState, read_session, write_session
from napari_ctclip.session.files.saved_session import (
    SavedCamera,
    SavedPrompt,
    SavedReport,
    SavedView,
    read_scan,
)
from napari_ctclip.testing import TinyModel
from tests.exporting.asked import asked_session, ball_finding, point_finding
from tests.io.scan_files import write_nifti
from tests.phantom import ball_study

NAME = "case.ctclip.zip"


@pytest.fixture
def state(tmp_path: Path) -> SessionState:
    """A session on a NIfTI file with masks, prompts, a view and two findings."""
    stored = np.ascontiguousarray(ball_study().volume.voxels.transpose(2, 1, 0)[:, ::-1, ::-1])
    path = write_nifti(tmp_path / "ct.nii.gz", stored, np.diag([1.5, 1.5, 2.0, 1.0]))
    volume = read_volume(path, accept_suspicious=True).volume
    session = asked_session(tmp_path, replace(ball_study(with_masks=False), volume=volume))
    labels = np.ones(volume.geometry.shape, dtype=np.uint8)
    masks = replace(ball_study().organ_masks, labels=labels, geometry=volume.geometry)
    return SessionState(
        session.study.with_masks(masks),
        session.model,
        "tiny",
        [SavedPrompt(Prompt("bright spot", "dark", "lung"), shown=True)],
        SavedView(
            Window(-600, 1500),
            (20, 30, 44),
            (0.1, 0.4),
            0.5,
            "Three planes",
            (SavedCamera((0.0, 12.5, -3.0), 180.0, (0.0, 0.0, 90.0)),),
        ),
        [replace(ball_finding(session), note="größer"), point_finding(session)],
        "seen with Ada",
        SavedReport("Größe normal.\nNo nodule.", was_read=True),
    )


def test_everything_comes_back(state: SessionState, tmp_path: Path):
    saved = read_session(write_session(state, tmp_path / NAME))
    assert (saved.prompts, saved.view, saved.notes) == (
        tuple(state.prompts),
        state.view,
        state.notes,
    )
    assert saved.report == state.report
    assert saved.masks.legend == state.study.organ_masks.legend
    np.testing.assert_array_equal(saved.masks.labels, state.study.organ_masks.labels)
    for found, kept in zip(saved.findings, state.findings, strict=True):
        assert replace(found, region=None).__dict__ == replace(kept, region=None).__dict__
    np.testing.assert_array_equal(saved.findings[0].region.mask, state.findings[0].region.mask)
    assert saved.findings[0].region.start == state.findings[0].region.start
    scan = read_scan(saved.scan).volume
    assert scan.content_hash() == state.study.volume.content_hash()
    saved.model.refuse_other_weights(TinyModel())
    with pytest.raises(CheckpointMismatch, match="other weights"):
        saved.model.refuse_other_weights(TinyModel(spacing_mm=(3.0, 3.0, 3.0)))


def test_a_scan_that_was_moved_is_asked_for_and_another_is_refused(
    state: SessionState, tmp_path: Path
):
    saved = read_session(write_session(state, tmp_path / NAME))
    moved = (tmp_path / "ct.nii.gz").rename(tmp_path / "elsewhere.nii.gz")
    assert not saved.scan.is_found
    with pytest.raises(DataError, match="say where it lies now"):
        read_scan(saved.scan)
    assert read_scan(saved.scan, moved).volume.geometry == state.study.volume.geometry
    other = ball_study().volume.voxels.transpose(2, 1, 0).copy()
    write_nifti(tmp_path / "other.nii.gz", other, np.diag([1.5, 1.5, 2.0, 1.0]))
    with pytest.raises(DataError, match="not the scan of this session"):
        read_scan(saved.scan, tmp_path / "other.nii.gz")


def test_a_scan_from_memory_travels_inside(tmp_path: Path):
    saved = read_session(write_session(SessionState(ball_study()), tmp_path / NAME))
    np.testing.assert_array_equal(read_scan(saved.scan).volume.voxels, ball_study().volume.voxels)


def _rewritten(path: Path, **changes: object) -> None:
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    text = json.loads(parts["session.json"]) | changes
    text = {name: value for name, value in text.items() if value is not None}
    parts["session.json"] = json.dumps(text).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def test_a_file_of_the_first_schema_opens_without_cameras_and_report(
    state: SessionState, tmp_path: Path
):
    path = write_session(replace(state, report=None), tmp_path / NAME)
    with zipfile.ZipFile(path) as archive:
        view = json.loads(archive.read("session.json"))["view"]
    del view["layout"], view["cameras"]
    _rewritten(path, schema_version=1, view=view)  # leaves out what is null
    with zipfile.ZipFile(path) as archive:
        assert "report" not in json.loads(archive.read("session.json"))
    saved = read_session(path)
    assert saved.view == replace(state.view, layout="", cameras=())
    assert saved.report is None
    assert saved.notes == state.notes
    assert len(saved.findings) == 2


def test_templates_come_back_whole_and_a_file_without_any_was_asked_as_typed(
    state: SessionState, tmp_path: Path
):
    own = TemplateSet("my hospital", ("The {organ} shows {}.", "{}"), ("no {}",))
    prompt = Prompt("bright spot", "dark", "lung", own)
    finding = replace(state.findings[0], prompt=prompt)
    asked = replace(state, prompts=[SavedPrompt(prompt, shown=False)], findings=[finding])
    path = write_session(asked, tmp_path / NAME)
    saved = read_session(path)
    assert saved.prompts[0].prompt == saved.findings[0].prompt == prompt
    entry = {"positive": "bright spot", "negative": "dark", "anatomy": "", "shown": True}
    _rewritten(path, schema_version=1, prompts=[entry])
    assert read_session(path).prompts[0].prompt == Prompt("bright spot", "dark")
    _rewritten(path, prompts=[entry | {"templates": {"name": "odd", "positive": ["no braces"]}}])
    with pytest.raises(UnreadableFile, match="every template needs"):
        read_session(path)


def test_a_newer_schema_and_damage_are_told_apart(state: SessionState, tmp_path: Path):
    path = write_session(state, tmp_path / NAME)
    whole = path.read_bytes()
    _rewritten(path, schema_version=99, later_field={})
    with pytest.raises(DataError, match=r"newer version .*schema 99"):
        read_session(path)
    path.write_bytes(whole)
    _rewritten(path, notes=7)
    with pytest.raises(UnreadableFile, match="notes"):
        read_session(path)
    for damaged in (whole[: len(whole) // 2], b"", b"no zip at all", whole[:200] + b"x" * 400):
        path.write_bytes(damaged)
        with pytest.raises(UnreadableFile, match="damaged or no session file"):
            read_session(path)
    with pytest.raises(UnreadableFile, match="there is no session file"):
        read_session(tmp_path / "none.ctclip.zip")


def test_a_full_disk_leaves_the_older_file_as_it_was(state: SessionState, tmp_path: Path):
    path = write_session(state, tmp_path / NAME)
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(DataError, match=r"could not be saved .* Nothing else is lost"):
            write_session(state, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.glob(".*part")] == []


def test_a_folder_that_takes_no_files_is_one_line(state: SessionState, tmp_path: Path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DataError, match="could not be saved"):
        write_session(state, tmp_path / "file" / NAME)

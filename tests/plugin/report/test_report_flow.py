"""Report flow without a window: what a session file may hold of a report, and when it is read."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume
from napari_ctclip.plugin.report.report_flow import ReportFlow
from napari_ctclip.plugin.window.jobs import Job
from napari_ctclip.plugin.window.messages import Messages
from napari_ctclip.plugin.window.window import Window
from napari_ctclip.session.files.saved_session import SavedReport
from napari_ctclip.session.findings_session import FindingsSession
from tests.exporting.asked import asked_session
from tests.phantom import ball_study

REPORT = "Nodule in the left lung."


class _Now:
    """Jobs that run at once."""

    def submit(self, job: Job) -> None:
        if job.still_wanted():
            job.on_done(job.work(lambda done, total: None, lambda: False))


@pytest.fixture
def flow(tmp_path: Path) -> ReportFlow:
    """The flow of an encoded scan."""
    session = asked_session(tmp_path)
    findings = FindingsSession(session)
    scene: Any = SimpleNamespace(frame=None)
    jobs: Any = _Now()
    made = ReportFlow(
        Window(session, jobs, scene, Messages()),
        encode=lambda: session.set_encoding(session.compute_encoding()),
        scan_key=lambda: findings.scan_key,
    )
    made.session, made.findings = session, findings  # what a test turns
    return made


def _other_study() -> Study:
    volume = ball_study().volume
    return Study(Volume(volume.voxels + 10, volume.geometry))


def test_a_report_is_saved_only_where_it_is_to_be_kept(
    flow: ReportFlow, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    told: list[SavedReport | None] = []
    flow.kept_changed.connect(lambda: told.append(flow.saved))
    with caplog.at_level(logging.DEBUG):
        flow.read_text(REPORT)
        assert flow.read is not None
        assert flow.saved is None
        assert told == []
        flow.set_kept(True)
        assert told == [SavedReport(REPORT, was_read=True)]
        flow.set_text(REPORT + " No effusion.")
        assert told[-1] == SavedReport(REPORT + " No effusion.", was_read=False)
        flow.set_kept(False)
        assert told[-1] is None
    assert "Nodule" not in caplog.text
    for path in (p for p in tmp_path.rglob("*") if p.is_file()):
        assert b"Nodule in" not in path.read_bytes()


def test_a_restored_report_is_read_once_the_scan_is_encoded(flow: ReportFlow) -> None:
    encoding = flow.session.encoding
    flow.restore(SavedReport(REPORT, was_read=True))
    assert flow.text == REPORT
    assert flow.is_kept
    assert flow.read is None
    flow.session.set_encoding(encoding)
    assert [line.finding for line in flow.read.lines] == ["lung nodule"]
    assert flow.saved == SavedReport(REPORT, was_read=True)
    flow.restore(SavedReport(REPORT))  # it was typed, and never read
    flow.session.set_encoding(encoding)
    assert flow.read is None


def test_a_kept_report_comes_back_with_its_scan_and_another_is_gone(flow: ReportFlow) -> None:
    study = flow.session.study
    flow.read_text(REPORT)
    flow.set_kept(True)
    flow.session.set_study(_other_study())
    assert flow.text == ""
    assert not flow.is_kept
    flow.set_text("Of the other scan.")
    flow.session.set_study(study)
    assert flow.saved == SavedReport(REPORT, was_read=True)
    flow.session.set_study(_other_study())
    assert flow.text == ""


def test_a_text_without_a_scan_is_in_no_file_until_one_is_open(flow: ReportFlow) -> None:
    study = flow.session.study
    flow.session.set_study(None)
    flow.set_kept(True)
    flow.set_text(REPORT)
    assert flow.saved is None
    flow.session.set_study(study)
    assert flow.saved == SavedReport(REPORT, was_read=False)

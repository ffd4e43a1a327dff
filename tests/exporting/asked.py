"""A session that was asked about the ball scan, with findings: what export tests write."""

from __future__ import annotations

from pathlib import Path

from napari_ctclip.core.finding import Finding
from napari_ctclip.core.region import Region
from napari_ctclip.core.study import Study
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.exporting.content import ExportContent
from napari_ctclip.session.findings_session import FindingsSession
from napari_ctclip.session.session import Session
from napari_ctclip.testing import TinyModel
from tests.phantom import BALL_CENTRE, ball_study

PROMPT = "bright spot"


def asked_session(folder: Path, study: Study | None = None) -> Session:
    """Return a session whose scan has been asked for the ball."""
    session = Session(cache=FeatureCache(folder / "cache"), device="cpu")
    session.set_study(study or ball_study())
    session.set_model(TinyModel())
    session.set_encoding(session.compute_encoding())
    session.ask(PROMPT)
    return session


def ball_finding(session: Session) -> Finding:
    """Return the accepted region of the ball's heat, cut at half its peak."""
    answer = session.answer_to(PROMPT)
    assert answer is not None
    return (
        FindingsSession(session)
        .compute_region(PROMPT, threshold=0.5 * answer.focus.peak.value)
        .accepted()
    )


def point_finding(session: Session) -> Finding:
    """Return a point beside the ball that nobody asked about."""
    z, y, x = BALL_CENTRE
    return FindingsSession(session).compute_point((z, y, x - 20))


def drawn_finding(session: Session, region: Region) -> Finding:
    """Return the ball's finding with a region drawn by hand."""
    findings = FindingsSession(session)
    findings.put(ball_finding(session))
    return findings.compute_reshaped(findings.findings[0].key, region)


def content_of(session: Session, *findings: Finding) -> ExportContent:
    """Return what a session holds, ready to be written."""
    return ExportContent.of(session, findings, model_source="tiny")

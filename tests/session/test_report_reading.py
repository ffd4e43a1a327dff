"""Report reading: each finding in its organ, denials the other way round, silence said so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_ctclip.core.errors import Cancelled, NotEncoded
from napari_ctclip.core.study import Study
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.session.report_reading import ReadReport, Verdict, read_report
from napari_ctclip.session.session import Session
from napari_ctclip.testing import TinyModel
from tests.phantom import BALL_CENTRE, ball_study


def session_of(tmp_path: Path, study: Study | None = None) -> Session:
    session = Session(cache=FeatureCache(tmp_path / "cache"), device="cpu")
    session.set_study(study or ball_study())
    model = TinyModel()
    model.suggested_prompts = ("pulmonary nodule", "lung mass")
    session.set_model(model)
    session.set_encoding(session.compute_encoding())
    return session


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return session_of(tmp_path)


def verdicts(read: ReadReport) -> list[Verdict]:
    return [line.verdict for line in read.lines]


def test_a_finding_is_scored_on_the_side_the_sentence_names(session: Session) -> None:
    read = read_report(session, "Nodule in the left lung. Nodule in the right lung.")
    assert verdicts(read) == [Verdict.SUPPORTED, Verdict.UNSUPPORTED]
    left, right = (line.score for line in read.lines)
    assert left is not None
    assert right is not None
    assert (left.anatomy, right.anatomy) == ("lung_left", "lung_right")
    assert [line.sentence for line in read.conflicts] == ["Nodule in the right lung."]


def test_the_peak_is_where_the_finding_lies(session: Session) -> None:
    (line,) = read_report(session, "There is a lung nodule.").lines
    centre = ball_study().volume.geometry.index_to_world(BALL_CENTRE)
    assert line.score is not None
    assert line.score.anatomy == "lung"
    assert np.linalg.norm(np.asarray(line.score.peak.world_mm) - centre) < 8.0


def test_a_lobe_without_a_mask_is_looked_for_in_the_lung_that_holds_it(session: Session) -> None:
    (line,) = read_report(session, "Nodule in the left upper lobe.").lines
    assert line.score is not None
    assert line.score.anatomy == "lung_left"


def test_what_is_denied_is_judged_the_other_way_round(session: Session) -> None:
    read = read_report(session, "No nodule in the left lung. No nodule in the right lung.")
    assert verdicts(read) == [Verdict.DENIED_DISAGREES, Verdict.DENIED_AGREES]


def test_what_cannot_be_asked_is_said_and_why(session: Session) -> None:
    read = read_report(session, "Gallstones are seen. The heart is normal. Emphysema in the lung.")
    assert verdicts(read) == [Verdict.NO_ORGAN, Verdict.NO_FINDING, Verdict.NOT_TRAINED]
    gallstone, heart, emphysema = read.lines
    assert gallstone.score is None
    assert "gallbladder" in gallstone.why
    assert heart.score is None
    assert not heart.finding
    assert emphysema.score is not None
    assert not read.conflicts


def test_without_masks_the_whole_scan_is_asked_and_a_notice_says_so(tmp_path: Path) -> None:
    session = session_of(tmp_path, ball_study(with_masks=False))
    read = read_report(session, "Nodule in the right lung.")
    assert verdicts(read) == [Verdict.SUPPORTED]
    assert [notice.code for notice in read.notices] == ["no-organ-masks"]


def test_history_is_not_read(session: Session) -> None:
    read = read_report(session, "History: lung mass.\nFindings: There is a lung nodule.")
    assert verdicts(read) == [Verdict.NOT_READ, Verdict.SUPPORTED]


def test_spans_count_in_the_text_of_the_report(session: Session) -> None:
    read = read_report(session, "There is a lung nodule. Gallstones are seen.")
    assert [read.text[slice(*line.span)] for line in read.lines] == [
        line.sentence for line in read.lines
    ]


def test_reading_keeps_nothing(session: Session) -> None:
    read_report(session, "There is a lung nodule.")
    assert session.answers == ()


def test_reading_stops_when_asked_to(session: Session) -> None:
    with pytest.raises(Cancelled):
        read_report(session, "There is a lung nodule.", session.work(should_stop=lambda: True))


def test_reading_needs_an_encoded_scan(tmp_path: Path) -> None:
    session = Session(cache=FeatureCache(tmp_path / "cache"), device="cpu")
    session.set_study(ball_study())
    with pytest.raises(NotEncoded, match="not encoded"):
        read_report(session, "There is a lung nodule.")

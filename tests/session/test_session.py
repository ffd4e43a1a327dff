from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_ctclip.core.errors import CtClipError, DataError, NotEncoded, NothingOpen
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.scoring.answer import Answer
from napari_ctclip.session.session import Session
from napari_ctclip.testing import TinyModel
from tests.phantom import BALL_CENTRE, ball_study


@pytest.fixture
def session(tmp_path: Path) -> Session:
    session = Session(cache=FeatureCache(tmp_path / "cache"), device="cpu")
    session.set_study(ball_study())
    session.set_model(TinyModel())
    return session


def _encode(session: Session) -> None:
    session.set_encoding(session.compute_encoding())


def test_prompt_before_encoding_says_what_to_do(session: Session) -> None:
    with pytest.raises(CtClipError, match="not encoded yet"):
        session.ask("bright")


def test_answer_has_map_whole_scan_and_organs(session: Session) -> None:
    _encode(session)
    answer = session.ask("bright")
    assert answer.prompt.negative == "no bright"
    assert answer.whole.anatomy == "whole scan"
    assert answer.organs[0].anatomy in ("lung", "lung_left", "thoracic_cavity")
    assert np.isfinite(answer.similarity_map.values).all()


def test_focus_is_the_organ_the_prompt_speaks_of(session: Session) -> None:
    _encode(session)
    assert session.ask("lung nodule").focus.anatomy == "lung"
    assert session.ask("bright").focus.anatomy == "whole scan"


def test_second_session_takes_the_encoding_from_the_cache(session: Session) -> None:
    _encode(session)
    again = Session(cache=session.cache, device="cpu")
    again.set_study(ball_study())
    model = TinyModel()
    again.set_model(model)
    encoding = again.compute_encoding()
    assert encoding.from_cache
    assert model.encoded_on == []
    again.set_encoding(encoding)
    first, second = session.ask("bright"), again.ask("bright")
    assert second.focus.similarity == pytest.approx(first.focus.similarity, abs=2e-3)
    assert second.focus.peak.index == first.focus.peak.index


def test_other_weights_do_not_reuse_the_encoding(session: Session) -> None:
    _encode(session)
    session.set_model(TinyModel(spacing_mm=(3.0, 3.0, 3.0)))
    assert not session.compute_encoding().from_cache


def test_new_masks_rescore_the_answers_there_are(session: Session) -> None:
    session.set_masks(None)
    _encode(session)
    session.ask("bright")
    heard: list[Answer] = []
    session.answered.connect(heard.append)
    masks = ball_study().organ_masks
    assert masks is not None
    session.set_masks(session.prepare_masks(masks))
    named = [s.anatomy for s in heard[0].scores[1:]]
    assert named == ["lung_right", "lung_left", "lung", "thoracic_cavity"]


def test_new_study_forgets_answers_and_says_so(session: Session) -> None:
    _encode(session)
    session.ask("bright")
    removed: list[str] = []
    session.answer_removed.connect(removed.append)
    session.set_study(ball_study())
    assert removed == ["bright"]
    assert session.answers == ()
    assert not session.is_ready


def test_asking_again_with_another_negative_replaces_the_answer(session: Session) -> None:
    _encode(session)
    first = session.ask("bright")
    second = session.ask(Prompt("bright", negative="dark"))
    assert session.answers == (second,)
    assert second.prompt.negative != first.prompt.negative


def test_probe_tells_hu_organ_and_ranks_findings(session: Session) -> None:
    _encode(session)
    probe = session.probe(BALL_CENTRE)
    assert probe.hounsfield == 700
    assert probe.mean_hounsfield > 600
    assert probe.anatomy == "lung_left"
    assert probe.findings[0].text == "bright spot"
    assert session.probe((20, 20, 20)).findings[0].text == "dark hole"


def test_probe_outside_the_scan_is_refused(session: Session) -> None:
    with pytest.raises(DataError, match="outside the scan"):
        session.probe((999, 0, 0))


def test_provenance_names_input_model_and_versions(session: Session) -> None:
    found = session.provenance()
    study = session.study
    assert study is not None
    assert found["input"]["content_sha256"] == study.volume.content_hash()
    assert found["model"]["weights_sha256"] == TinyModel().weights_hash()
    assert found["versions"]["torch"]


def test_a_scan_smaller_than_a_token_is_told_with_the_way_out() -> None:
    session = Session(cache=FeatureCache(limit_bytes=0), device="cpu")
    session.set_study(ball_study())
    session.set_model(TinyModel(patch_size=(2, 160, 160)))
    session.set_encoding(session.compute_encoding())
    with pytest.raises(DataError, match="so none can answer"):
        session.ask("bright spot")


def test_a_session_is_ready_once_its_scan_is_encoded(session: Session):
    with pytest.raises(NotEncoded, match="encode it"):
        session.ready()
    session.set_encoding(session.compute_encoding())
    ready = session.ready()
    assert (ready.study, ready.model, ready.encoding) == (
        session.study,
        session.model,
        session.encoding,
    )
    session.set_study(None)
    with pytest.raises(NothingOpen, match="no CT is open"):
        session.ready()


def test_the_work_of_a_session_has_its_cache_and_device(session: Session):
    told: list[int] = []
    work = session.work(lambda done, total: told.append(done))
    assert (work.cache, work.device) == (session.cache, "cpu")
    session.compute_encoding(work)
    assert told[0] == 0

"""Word reading: which map a model gives, and which words of a report were selected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_ctclip.core.errors import DataError, NotEncoded
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.session.session import Session
from napari_ctclip.session.word_reading import (
    WordMapKind,
    read_words,
    selected_phrase,
    word_map_kind,
)
from tests.exporting.asked import asked_session
from tests.models.towers.test_local_regions import model
from tests.phantom import BALL_CENTRE, ball_study

REPORT = "Lungs: No  effusion.\nSmall nodule in the\nleft lung. Bones are normal."


def test_a_model_without_attention_gives_what_the_words_add(tmp_path: Path) -> None:
    session = asked_session(tmp_path)
    read = read_words(session, Prompt("very dark bright"), [0, 2])
    assert read.kind is WordMapKind.DIFFERENCE
    assert "no attention" in read.kind.explanation
    assert read.phrase.said == "very … bright"
    full = session.compute_answer(Prompt("very dark bright"))
    rest = session.compute_answer(Prompt("dark", "no very dark bright"))
    expected = full.similarity_map.values - rest.similarity_map.values
    np.testing.assert_allclose(read.found.values, expected)
    volume = session.study.volume
    place = volume.geometry.world_to_index(read.found.peak().world_mm)
    assert np.linalg.norm((place - BALL_CENTRE) * volume.geometry.spacing_mm) < 8.0


def test_a_model_that_interacts_gives_attention() -> None:
    assert word_map_kind(model()) is WordMapKind.ATTENTION
    assert "no similarity" in WordMapKind.ATTENTION.explanation


def test_a_scan_that_is_not_encoded_says_so() -> None:
    session = Session()
    session.set_study(ball_study())
    with pytest.raises(NotEncoded, match="not encoded"):
        read_words(session, Prompt("lung nodule"), [0])


def test_selected_words_come_with_their_sentence() -> None:
    start = REPORT.index("odule")
    phrase = selected_phrase(REPORT, start, REPORT.index("ft lung"))
    assert phrase.text == "Small nodule in the left lung."
    assert phrase.said == "nodule in the left"


def test_a_selection_of_no_word_or_of_two_sentences_is_refused() -> None:
    with pytest.raises(DataError, match="no word of the report"):
        selected_phrase(REPORT, 3, 3)
    with pytest.raises(DataError, match="2 sentences"):
        selected_phrase(REPORT, REPORT.index("lung."), REPORT.index("are"))
    with pytest.raises(DataError, match="no word of the report"):
        selected_phrase("", 0, 0)

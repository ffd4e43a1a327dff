"""Phrases: words of a text, chosen by number or by the characters a mouse swept over."""

from __future__ import annotations

import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.prompt import Phrase, words_at, words_between


def test_a_phrase_says_its_words_and_what_is_left_without_them() -> None:
    phrase = Phrase("small  calcified\nleft nodule", (3, 0, 0))
    assert phrase.text == "small calcified left nodule"
    assert phrase.chosen == (0, 3)
    assert phrase.said == "small … nodule"
    assert phrase.rest == "calcified left"
    assert Phrase("left lung", (0, 1)).said == "left lung"
    assert Phrase("left lung", (0, 1)).rest == ""


@pytest.mark.parametrize(("chosen", "reason"), [((), "at least one"), ((2,), "no word 3")])
def test_words_that_are_not_there_are_refused(chosen: tuple[int, ...], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        Phrase("left lung", chosen)
    with pytest.raises(DataError, match="no word 0"):
        Phrase("left lung", (-1,))


def test_a_word_is_chosen_by_any_of_its_characters_and_not_by_a_blank() -> None:
    text = "no  pleural effusion."
    assert words_between(text, 5, 6) == (1,)
    assert words_between(text, 10, 13) == (1, 2)
    assert words_between(text, 2, 4) == ()
    assert words_between(text, 6, 6) == ()


def test_every_character_lies_in_a_word_or_before_one() -> None:
    assert words_at("no pleural", (0, 1, 3, 9)) == (0, 0, 1, 1)
    assert words_at("no pleural", (2,)) == (1,)

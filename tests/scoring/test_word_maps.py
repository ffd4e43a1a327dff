"""Word maps: a prompt with one word left out, all else the same."""

from __future__ import annotations

import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.scoring.word_maps import without_word, words_of


def test_a_word_is_left_out_and_the_negative_stays() -> None:
    prompt = Prompt("calcified lung nodule", "quiet lung")
    shorter = without_word(prompt, 0)
    assert shorter.positive == "lung nodule"
    assert shorter.negative == "quiet lung"
    assert words_of(shorter) == ("lung", "nodule")


def test_the_organ_stays_though_its_word_goes() -> None:
    prompt = Prompt("spleen cyst")
    assert without_word(prompt, 0).anatomy == "spleen"
    assert without_word(prompt, 0).negative == "no spleen cyst"


@pytest.mark.parametrize(
    ("text", "place"), [("nodule", 0), ("lung nodule", 2), ("lung nodule", -1)]
)
def test_a_word_that_cannot_go_is_refused(text: str, place: int) -> None:
    with pytest.raises(DataError, match="left out"):
        without_word(Prompt(text), place)

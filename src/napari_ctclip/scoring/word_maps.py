"""Word maps: what a prompt's map loses when one of its words is left out."""

from __future__ import annotations

from dataclasses import replace

from napari_ctclip.core.anatomy_terms import anatomy_in_text
from napari_ctclip.core.errors import DataError
from napari_ctclip.core.prompt import Prompt

__all__ = ["without_word", "words_of"]


def words_of(prompt: Prompt) -> tuple[str, ...]:
    """Return the words of a prompt, as they stand."""
    return tuple(prompt.positive.split())


def without_word(prompt: Prompt, place: int) -> Prompt:
    """Return a prompt without one word, held against the same negative, asked of the same organ.

    The difference of the two maps is the word's part (leave one out): all else cancels.

    Raises
    ------
    DataError
        If there is no such word, or no other one.
    """
    words = words_of(prompt)
    if len(words) < 2 or not 0 <= place < len(words):
        raise DataError(
            f"“{prompt.positive}” has no word {place + 1} that could be left out; "
            "choose one of a prompt of two words or more"
        )
    rest = " ".join(words[:place] + words[place + 1 :])
    return replace(
        prompt, positive=rest, anatomy=prompt.anatomy or anatomy_in_text(prompt.positive)
    )

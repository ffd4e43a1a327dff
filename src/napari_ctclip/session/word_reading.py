"""Word reading: where chosen words of a prompt or of a report's sentence are, by any model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.prompt import Phrase, Prompt, words_between
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.session.session import Session

if TYPE_CHECKING:
    # torch comes in with this
    from napari_ctclip.models.interface import VisionLanguageModel

__all__ = ["WordMap", "WordMapKind", "read_words", "selected_phrase", "word_map_kind"]


class WordMapKind(StrEnum):
    """What a map of words is; the value is what files say."""

    ATTENTION = "attention"
    DIFFERENCE = "difference without the words"

    @property
    def explanation(self) -> str:
        """What the map means, in a sentence."""
        if self is WordMapKind.ATTENTION:
            return (
                "Attention of the words, read in their sentence, to the regions that the model "
                "selects. It is no similarity."
            )
        return (
            "This model has no attention from words to tokens: the map is the similarity of the "
            "text less that of the text without the words."
        )


@dataclass(frozen=True, eq=False)
class WordMap:
    """Where chosen words of a text are.

    Attributes
    ----------
    prompt : Prompt
        The text, and what it is contrasted with.
    phrase : Phrase
        The words.
    kind : WordMapKind
        What the numbers are.
    found : SimilarityMap
        The attention, whose sum is 1; or a difference of similarities, positive where words add.
    even_share : float
        The attention of a word that prefers no region; 0 for a difference.
    """

    prompt: Prompt
    phrase: Phrase
    kind: WordMapKind
    found: SimilarityMap
    even_share: float = 0.0


def word_map_kind(model: VisionLanguageModel | None) -> WordMapKind:
    """Return which map of words a model gives."""
    from napari_ctclip.scoring.significant_regions import selecting_model

    selecting = selecting_model(model)
    return WordMapKind.DIFFERENCE if selecting is None else WordMapKind.ATTENTION


def read_words(session: Session, prompt: Prompt, chosen: Iterable[int]) -> WordMap:
    """Return where chosen words of a prompt are in the encoded scan. Nothing is kept.

    Parameters
    ----------
    session : Session
        The session, with an encoded scan; it is only read, so this may run on any thread.
    prompt : Prompt
        The whole text.
    chosen : iterable of int
        Which of its words, counted from 0.

    Raises
    ------
    NotEncoded
        If the scan is not encoded.
    DataError
        If the words are not there, or cannot be told from the rest by this model.
    """
    ready = session.ready()
    from napari_ctclip.scoring.answer import difference_map, without_words
    from napari_ctclip.scoring.significant_regions import (
        attention_map,
        even_share,
        selecting_model,
    )

    phrase = Phrase(prompt.positive, tuple(chosen))
    selecting = selecting_model(ready.model)
    if selecting is not None:
        found = attention_map(selecting, ready.encoding.scan, phrase)
        share = even_share(selecting, ready.encoding.scan)
        return WordMap(prompt, phrase, WordMapKind.ATTENTION, found, share)
    rest = session.compute_answer(without_words(prompt, phrase))
    found = difference_map(session.compute_answer(prompt), rest)
    return WordMap(prompt, phrase, WordMapKind.DIFFERENCE, found)


def selected_phrase(text: str, start: int, stop: int) -> Phrase:
    """Return the words between two characters of a report, within their sentence.

    Raises
    ------
    DataError
        If they are none, or belong to several sentences.
    """
    from napari_ctclip.reports.sentences import sentence_spans

    touched = [
        (a, b) for a, b in sentence_spans(text, 0, len(text)) if text[max(a, start) : min(b, stop)]
    ]
    if not touched:
        raise DataError("no word of the report is selected; select some of one sentence first")
    if len(touched) > 1:
        raise DataError(
            f"the selected words belong to {len(touched)} sentences; select words of one"
        )
    ((a, b),) = touched
    sentence = text[a:b]
    return Phrase(sentence, words_between(sentence, start - a, stop - a))

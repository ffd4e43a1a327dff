"""Answer: what a scan says to one prompt, and how two answers differ."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_ctclip.core.anatomy import anatomy_in_text
from napari_ctclip.core.errors import DataError, GeometryMismatch
from napari_ctclip.core.notice import Notice
from napari_ctclip.core.prompt import Phrase, Prompt
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.scoring.region_scores import RegionScore

__all__ = [
    "Answer",
    "ScoreChange",
    "difference_map",
    "score_changes",
    "symmetric_limit",
    "without_words",
]


@dataclass(frozen=True, eq=False)
class Answer:
    """What a scan says to one prompt.

    Attributes
    ----------
    prompt : Prompt
        What was asked.
    similarity_map : SimilarityMap
        The similarity of every token.
    scores : tuple of RegionScore
        The whole scan first, then every organ.
    notices : tuple of Notice
        What the user should know of it.
    """

    prompt: Prompt
    similarity_map: SimilarityMap
    scores: tuple[RegionScore, ...]
    notices: tuple[Notice, ...] = ()

    @property
    def whole(self) -> RegionScore:
        """The score of the whole scan."""
        return self.scores[0]

    @property
    def organs(self) -> tuple[RegionScore, ...]:
        """The scores of the organs, highest similarity first."""
        return tuple(sorted(self.scores[1:], key=lambda s: s.similarity, reverse=True))

    @property
    def focus(self) -> RegionScore:
        """The score of the organ the prompt speaks of, or the whole scan's if there is none."""
        wanted = self.prompt.anatomy or anatomy_in_text(self.prompt.positive)
        return next((s for s in self.scores if s.anatomy == wanted), self.whole)


@dataclass(frozen=True)
class ScoreChange:
    """One prompt's score of one region, before and after.

    Attributes
    ----------
    prompt : str
        What was asked.
    anatomy : str
        An organ, or ``region_scores.WHOLE_SCAN``.
    before, after : RegionScore
        The scores in the prior and in the current scan.
    note : str
        What makes the two hard to compare; empty if nothing is known.
    """

    prompt: str
    anatomy: str
    before: RegionScore
    after: RegionScore
    note: str = ""

    @property
    def difference(self) -> float:
        """Similarity after less before."""
        return self.after.similarity - self.before.similarity


def score_changes(
    before: Sequence[Answer], after: Sequence[Answer], *, cut: Collection[str] = ()
) -> tuple[ScoreChange, ...]:
    """Return a change for each prompt and region that both scans answered, in the order asked.

    Parameters
    ----------
    before, after : sequence of Answer
        The answers of the prior and the current scan, by the same model. Prompts contrasted with
        different negatives, or put in different templates, are not compared.
    cut : collection of str
        The anatomies, or ``WHOLE_SCAN``, that one of the scans shows only in part.
    """
    earlier = {_asked(a.prompt): a for a in before}
    changes = []
    for answer in after:
        prior = earlier.get(_asked(answer.prompt))
        if prior is None:
            continue
        old = {score.anatomy: score for score in prior.scores}
        for score in answer.scores:
            if score.anatomy in old:
                note = "not whole in both scans" if score.anatomy in cut else ""
                changes.append(
                    ScoreChange(
                        answer.prompt.positive, score.anatomy, old[score.anatomy], score, note
                    )
                )
    return tuple(changes)


def _asked(prompt: Prompt) -> tuple[object, ...]:
    return prompt.positive, prompt.negative, prompt.templates


_PERCENTILE = 99.5  # Ours: one odd token must not wash out the colours of all others


def difference_map(first: Answer, second: Answer) -> SimilarityMap:
    """Return where the first prompt answers more (positive) or the second (negative).

    Raises
    ------
    GeometryMismatch
        If they are not answers of one encoded scan.
    """
    a, b = first.similarity_map, second.similarity_map
    if a.values.shape != b.values.shape or not np.allclose(a.geometry.affine, b.geometry.affine):
        raise GeometryMismatch("the two prompts were asked of different scans; ask both again")
    prompt = Prompt(first.prompt.positive, second.prompt.positive)
    return SimilarityMap(a.values - b.values, a.geometry, prompt)


def symmetric_limit(difference: SimilarityMap) -> float:
    """Return the half width of a diverging colour scale about 0; never 0."""
    finite = np.abs(difference.values[np.isfinite(difference.values)])
    return max(float(np.percentile(finite, _PERCENTILE)), 1e-4) if finite.size else 1e-4


def without_words(prompt: Prompt, phrase: Phrase) -> Prompt:
    """Return a prompt without chosen words, contrasted with the same negative, of the same organ.

    The difference of the two maps is the words' part (leave some out): all else cancels.

    Raises
    ------
    DataError
        If no other word is left.
    """
    if not phrase.rest:
        raise DataError(
            f"without “{phrase.said}” nothing is left of the text to compare with; leave at least "
            "one word out of the choice, or ask the words as a prompt"
        )
    return replace(
        prompt, positive=phrase.rest, anatomy=prompt.anatomy or anatomy_in_text(prompt.positive)
    )

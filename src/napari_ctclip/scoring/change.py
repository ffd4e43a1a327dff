"""Change: the answers of two scans of one patient to the same prompts, side by side."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from napari_ctclip.core.prompt import Prompt
from napari_ctclip.scoring.answer import Answer
from napari_ctclip.scoring.region_scores import RegionScore

__all__ = ["ScoreChange", "score_changes"]


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

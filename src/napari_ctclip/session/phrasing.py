"""Phrasing: how far synonyms of a prompt disagree, and whether its negation gives another map."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.explanation.vocabulary import synonyms_of
from napari_ctclip.scoring.answer import Answer
from napari_ctclip.session.session import Session

__all__ = ["ALIKE", "UNSTABLE", "PhrasingCheck", "check_phrasing"]

ALIKE = 0.95
"""Ours: from this correlation on, the maps of a prompt and of its negative are called the same."""

UNSTABLE = 0.1
"""Ours: synonyms whose similarities lie further apart than this make a prompt unstable."""


@dataclass(frozen=True, eq=False)
class PhrasingCheck:
    """How far the phrasing of a prompt can be trusted, with one model in one scan.

    Attributes
    ----------
    negation_correlation : float
        The correlation of the cosines of the prompt and of its negative; NaN if either is flat.
    scores : tuple of (str, float)
        Phrasing -> similarity in the prompt's organ; the prompt as typed first, then the sentences
        of its ensemble, then its synonyms.
    sd_map : SimilarityMap or None
        The standard deviation of the similarity over the phrasings, at every token: high where they
        disagree, whether or not the finding is there. An ensemble counts as its sentences. None if
        there is one phrasing only.
    phrasings : int
        The number of phrasings it is over.
    """

    negation_correlation: float
    scores: tuple[tuple[str, float], ...]
    sd_map: SimilarityMap | None = None
    phrasings: int = 1

    @property
    def separates(self) -> bool:
        """Whether the prompt and its negative give different maps."""
        return self.negation_correlation < ALIKE  # not for NaN: a flat map separates nothing

    @property
    def spread(self) -> float:
        """Highest less lowest similarity over the phrasings; 0 if there is only one."""
        values = [value for _, value in self.scores]
        return max(values) - min(values)

    @property
    def in_words(self) -> str:
        """What the user reads."""
        typed = self.scores[0][0]
        negation = (
            f"its negation gives another map (r = {self.negation_correlation:.2f})"
            if self.separates
            else f"does not separate: its negation gives the same map "
            f"(r = {self.negation_correlation:.2f})"
        )
        if len(self.scores) == 1:
            return f"“{typed}”: {negation}; the dictionary knows no synonym."
        low, high = (pick(self.scores, key=lambda pair: pair[1]) for pick in (min, max))
        steady = "unstable" if self.spread > UNSTABLE else "stable"
        return (
            f"“{typed}”: {negation}; {steady} over {len(self.scores)} phrasings: "
            f"{low[1]:+.2f} (“{low[0]}”) to {high[1]:+.2f} (“{high[0]}”)."
        )


def check_phrasing(session: Session, prompt: Prompt) -> PhrasingCheck:
    """Return the check of a prompt on the encoded scan; it may run on any thread.

    Every sentence of the prompt's ensemble, and every synonym of the dictionary, is asked of the
    same organ, each contrasted with its own plain negation.

    Raises
    ------
    NotEncoded
        If the scan is not encoded.
    """
    ready = session.ready()
    index = ready.encoding.index
    from napari_ctclip.scoring.prompt_ensemble import embed_prompts

    vectors = embed_prompts(ready.model, [prompt])[0].float()
    positive, negative = (index.cosines_to(vector) for vector in vectors)
    asked = session.compute_answer(prompt)
    typed = asked.focus
    scores = [(prompt.positive, typed.similarity)]
    answers = [asked]
    for phrasing, other in _other_phrasings(prompt):
        answer = session.compute_answer(other)
        there = next((s for s in answer.scores if s.anatomy == typed.anatomy), answer.whole)
        scores.append((phrasing, there.similarity))
        answers.append(answer)
    if prompt.templates.is_ensemble:
        del answers[0]  # the mean of what follows
    inside = np.isfinite(positive)
    a, b = positive[inside].astype(np.float64), negative[inside].astype(np.float64)
    flat = a.size < 2 or a.std() == 0 or b.std() == 0
    return PhrasingCheck(
        float("nan") if flat else float(np.corrcoef(a, b)[0, 1]),
        tuple(scores),
        _sd_map(prompt, answers),
        len(answers),
    )


def _other_phrasings(prompt: Prompt) -> Iterator[tuple[str, Prompt]]:
    """Yield what else a prompt could have been, and how it reads."""
    if prompt.templates.is_ensemble:
        for alone in prompt.templates.each_alone():
            sentence = replace(prompt, templates=alone)
            yield sentence.positives[0], sentence
    for synonym in synonyms_of(prompt.positive):
        yield synonym, Prompt(synonym, templates=prompt.templates)


def _sd_map(prompt: Prompt, answers: Sequence[Answer]) -> SimilarityMap | None:
    if len(answers) < 2:
        return None
    maps = [answer.similarity_map for answer in answers]
    sd = np.std([one.values for one in maps], axis=0, dtype=np.float64)
    return SimilarityMap(sd.astype(np.float32), maps[0].geometry, prompt)

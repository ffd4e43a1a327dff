"""Zero-shot: the answer of an encoded study to a task, read out where the task looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_ctclip.core.anatomy import anatomy_in_text, members
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.similarity_map import Peak, SimilarityMap
from napari_ctclip.evaluation.task_files import ZeroShotTask
from napari_ctclip.scoring.answer import Answer
from napari_ctclip.scoring.encoded_study import EncodedStudy, answer_prompt
from napari_ctclip.scoring.heatmap import queried_anatomy
from napari_ctclip.scoring.region_scores import WHOLE_SCAN, RegionScore

if TYPE_CHECKING:
    from napari_ctclip.models.interface import VisionLanguageModel

__all__ = ["TaskAnswer", "ask_task"]


@dataclass(frozen=True, eq=False)
class TaskAnswer:
    """What a study answers to a task.

    Attributes
    ----------
    similarity, probability : float
        Of the region that decides; NaN where the study has no such region.
    region : str
        The anatomy that was read out, or ``"whole scan"``; empty where there is none.
    peak : Peak or None
        Highest token of that region.
    similarity_map : SimilarityMap
        Where in the scan.
    """

    similarity: float
    probability: float
    region: str
    peak: Peak | None
    similarity_map: SimilarityMap


def ask_task(model: VisionLanguageModel, encoded: EncodedStudy, task: ZeroShotTask) -> TaskAnswer:
    """Return the answer to a task, in milliseconds.

    A study without masks answers as a whole. One with masks that lack the task's anatomy does not
    answer: its score would be of another kind than its neighbours'.
    """
    answer = answer_prompt(model, encoded, task.prompt)
    if encoded.mask_readout is None:
        read = [answer.whole]
    else:
        wanted = task.anatomies or ("",)
        read = [s for anatomy in wanted for s in _of_anatomy(answer, task.prompt, anatomy)]
    if not read:
        nan = float("nan")
        return TaskAnswer(nan, nan, "", None, answer.similarity_map)
    best = max(read, key=lambda score: score.similarity)
    return TaskAnswer(
        best.similarity, best.probability, best.anatomy, best.peak, answer.similarity_map
    )


def _of_anatomy(answer: Answer, prompt: Prompt, anatomy: str) -> list[RegionScore]:
    """Return the score of an anatomy; those of its parts where it is stored in parts."""
    if anatomy == WHOLE_SCAN:
        return [answer.whole]
    scored = {score.anatomy: score for score in answer.scores[1:]}
    queried = Prompt(prompt.positive, prompt.negative, anatomy)
    name = queried_anatomy(queried, tuple(scored))
    if name:
        return [scored[name]]
    parts = members(anatomy, scored) if anatomy else ()
    if parts:
        return [scored[part] for part in parts]
    says_nothing = not anatomy and not anatomy_in_text(prompt.positive)
    return [answer.whole] if says_nothing else []

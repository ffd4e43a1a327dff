"""Embedding read-out: one vector, of the whole scan or of an organ, answers for a study."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from napari_ctclip.core.anatomy import members
from napari_ctclip.core.errors import DataError
from napari_ctclip.core.study import Study
from napari_ctclip.encoding.organ_crops import anatomy_labels
from napari_ctclip.evaluation.task_files import TaskSet, ZeroShotTask
from napari_ctclip.evaluation.zero_shot import TaskAnswer
from napari_ctclip.regions.token_grid import THORACIC_CAVITY
from napari_ctclip.scoring.encoded_study import EncodedStudy
from napari_ctclip.scoring.region_scores import WHOLE_SCAN, region_scores
from napari_ctclip.scoring.similarity import (
    background_similarity,
    contrast,
    softmax_probability,
)

if TYPE_CHECKING:
    from napari_ctclip.models.interface import VisionLanguageModel

__all__ = ["EmbeddingReadout", "embedding_answers"]


@dataclass(frozen=True)
class EmbeddingReadout:
    """Which vector of a scan is compared with the prompts.

    Attributes
    ----------
    of : {"whole", "organ"}
        The embedding of the whole scan, or that of the organ that a task looks at.
    anatomies : tuple of str
        The organs that a model was trained with, in its order; empty: the model's own, or else
        those of the tasks.
    """

    of: Literal["whole", "organ"]
    anatomies: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for a record of what was done."""
        return asdict(self)

    def anatomies_for(self, model: VisionLanguageModel, tasks: TaskSet) -> tuple[str, ...]:
        """Return the organs that the model is given the masks of."""
        if self.anatomies:
            return self.anatomies
        of_tasks = dict.fromkeys(_organ_of(task) for task in tasks.tasks if task.anatomies)
        return tuple(getattr(model, "anatomies", None) or of_tasks)


@torch.inference_mode()
def embedding_answers(
    model: VisionLanguageModel,
    study: Study,
    encoded: EncodedStudy,
    tasks: TaskSet,
    readout: EmbeddingReadout,
) -> dict[str, TaskAnswer]:
    """Return the answer to every task, by label.

    A study whose masks lack the organ of a task does not answer to it. The heatmap is that of the
    tokens; its peak is that of the anatomy that the task looks at, as in the viewer.

    Raises
    ------
    DataError
        If a task looks at an organ that is not among the anatomies.
    """
    anatomies = readout.anatomies_for(model, tasks)
    vectors, present = _vectors(model, study, encoded, readout, anatomies)
    texts = [text for t in tasks.tasks for text in (t.prompt.positive, t.prompt.negative)]
    cosines = vectors.float().cpu() @ model.embed_text(texts).float().cpu().T  # (R, 2 L)
    scale = float(model.logit_scale.exp())
    against = cosines[:, 1::2]
    if model.background_prompts:
        normal = model.embed_text(model.background_prompts).float().cpu()
        background = background_similarity(vectors.float().cpu().T, normal, scale)
        against = torch.logaddexp(scale * against, scale * background[:, None]) / scale
    values = contrast(cosines[:, 0::2], against)
    answers = {}
    for column, task in enumerate(tasks.tasks):
        row = 0 if readout.of == "whole" else _row_of(task, anatomies)
        name = WHOLE_SCAN if readout.of == "whole" else anatomies[row]
        similarity = values[row, column] if present[row] else torch.tensor(torch.nan)
        probability = softmax_probability(similarity.double(), scale)
        answers[task.label] = _answer(
            model, encoded, task, (float(similarity), float(probability), name)
        )
    return answers


def _vectors(
    model: VisionLanguageModel,
    study: Study,
    encoded: EncodedStudy,
    readout: EmbeddingReadout,
    anatomies: tuple[str, ...],
) -> tuple[Tensor, Tensor]:
    """Return the vectors (R, E), and which of them are there (R,)."""
    features = encoded.scan.features
    if readout.of == "whole":
        return model.embed_global(features), torch.ones(1, dtype=torch.bool)
    if study.organ_masks is None:
        return torch.zeros(len(anatomies), 1), torch.zeros(len(anatomies), dtype=torch.bool)
    labels = anatomy_labels(study.organ_masks, encoded.scan.input_geometry, anatomies)
    masks = torch.stack([torch.from_numpy(labels == n) for n in range(1, len(anatomies) + 1)])
    regions = model.embed_regions(features, masks[None].to(features.levels[0].device))
    return regions.vectors[0], regions.present[0]


def _answer(
    model: VisionLanguageModel,
    encoded: EncodedStudy,
    task: ZeroShotTask,
    score: tuple[float, float, str],
) -> TaskAnswer:
    similarity_map = encoded.index.similarity_map(task.prompt)
    scale = float(model.logit_scale.exp())
    rows = {r.anatomy: r for r in region_scores(similarity_map, encoded.regions, scale=scale)}
    looked_at = [rows[a] for a in task.anatomies or (WHOLE_SCAN,) if a in rows]
    best = max(looked_at, key=lambda row: row.similarity, default=None)
    similarity, probability, region = score
    return TaskAnswer(
        similarity, probability, region, None if best is None else best.peak, similarity_map
    )


def _organ_of(task: ZeroShotTask) -> str:
    """Return the organ whose mask a task is read out with."""
    return "lung" if task.anatomies[0] == THORACIC_CAVITY else task.anatomies[0]


def _row_of(task: ZeroShotTask, anatomies: tuple[str, ...]) -> int:
    """Return the number of the anatomy that a task is read out in."""
    wanted = _organ_of(task) if task.anatomies else ""
    for row, name in enumerate(anatomies):
        if name == wanted or (wanted and members(name, [wanted])):
            return row
    raise DataError(
        f"task {task.label!r} looks at {wanted or 'no organ'!r}, which is not among the organs "
        f"that the model embeds ({', '.join(anatomies)}); choose another read-out or task set"
    )

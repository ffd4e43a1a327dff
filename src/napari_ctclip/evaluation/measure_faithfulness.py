"""Measure faithfulness: blur a study by its own heatmap and by another label's, and ask again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_ctclip.core.study import Study
from napari_ctclip.evaluation.task_files import TaskSet
from napari_ctclip.evaluation.zero_shot import ask_task
from napari_ctclip.explanation.faithfulness import FaithfulnessCurves, faithfulness_curves
from napari_ctclip.explanation.reencoding import encode_changed
from napari_ctclip.preprocessing.specification import ModelInput
from napari_ctclip.scoring.encoded_study import EncodedStudy

if TYPE_CHECKING:
    from napari_ctclip.models.interface import VisionLanguageModel

__all__ = ["measure_faithfulness"]


def measure_faithfulness(
    model: VisionLanguageModel,
    study: Study,
    encoded: EncodedStudy,
    tasks: TaskSet,
    *,
    label: str,
    device: str = "cpu",
) -> tuple[FaithfulnessCurves, FaithfulnessCurves | None]:
    """Return the curves of a label's own heatmap, and those of the null.

    The null keeps the question and shuffles the prompt that ranks the tokens: the map is that of
    the next label of the task set. None if there is no other label.

    Parameters
    ----------
    model : VisionLanguageModel
        The one that encoded the study.
    study, encoded : Study, EncodedStudy
        As they were scored.
    tasks : TaskSet
        All questions.
    label : str
        The one that is tested.
    """
    place = tasks.labels.index(label)
    task = tasks.tasks[place]
    other = tasks.tasks[(place + 1) % len(tasks.tasks)]
    model_input = model.preprocessing.prepare(study.volume)

    def ask(changed: ModelInput) -> float:
        found = encode_changed(
            model, study, encoded, original=model_input, changed=changed, device=device
        )
        return ask_task(model, found, task).probability

    own = ask_task(model, encoded, task).similarity_map
    curves = faithfulness_curves(model_input, own, ask, patch_size=model.patch_size)
    if other is task:
        return curves, None
    shuffled = ask_task(model, encoded, other).similarity_map
    return curves, faithfulness_curves(model_input, shuffled, ask, patch_size=model.patch_size)

"""Faithfulness: deletion and insertion by a study's own heatmap and by another label's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.study import Study
from napari_ctclip.encoding.work import Work
from napari_ctclip.evaluation.bootstrap import Interval, draw_weights, interval_of
from napari_ctclip.evaluation.task_files import TaskSet
from napari_ctclip.evaluation.zero_shot import ask_task
from napari_ctclip.explanation.faithfulness import FaithfulnessCurves, area, faithfulness_curves
from napari_ctclip.explanation.reencoding import encode_changed
from napari_ctclip.preprocessing.specification import ModelInput
from napari_ctclip.scoring.encoded_study import EncodedStudy, Ready

if TYPE_CHECKING:
    from napari_ctclip.models.interface import VisionLanguageModel

__all__ = ["FaithfulnessRow", "faithfulness_row", "measure_faithfulness"]


def measure_faithfulness(
    model: VisionLanguageModel,
    study: Study,
    encoded: EncodedStudy,
    tasks: TaskSet,
    *,
    label: str,
    device: str = "cpu",
) -> tuple[FaithfulnessCurves, FaithfulnessCurves | None]:
    """Return the curves of a label's own heatmap, and those of the reference.

    The reference keeps the prompt and shuffles the map that ranks the tokens: it is that of the
    next label of the task set. None if there is no other label.

    Parameters
    ----------
    model : VisionLanguageModel
        The one that encoded the study.
    study, encoded : Study, EncodedStudy
        As they were scored.
    tasks : TaskSet
        All tasks.
    label : str
        The one that is tested.
    """
    number = tasks.labels.index(label)
    task = tasks.tasks[number]
    other = tasks.tasks[(number + 1) % len(tasks.tasks)]
    model_input = model.preprocessing.prepare(study.volume)
    ready, work = Ready(study, model, encoded), Work(device=device)

    def ask(changed: ModelInput) -> float:
        found = encode_changed(ready, original=model_input, changed=changed, work=work)
        return ask_task(model, found, task).probability

    own = ask_task(model, encoded, task).similarity_map
    curves = faithfulness_curves(model_input, own, ask, patch_size=model.patch_size)
    if other is task:
        return curves, None
    shuffled = ask_task(model, encoded, other).similarity_map
    return curves, faithfulness_curves(model_input, shuffled, ask, patch_size=model.patch_size)


@dataclass(frozen=True)
class FaithfulnessRow:
    """Deletion and insertion of a label's heatmaps.

    Attributes
    ----------
    label : str
        The finding.
    studies : int
        Positive studies that were tested.
    deletion, insertion : float
        Mean area under the curves.
    reference_deletion, reference_insertion : float
        The same with the tokens ranked by another label's map.
    deletion_gain, insertion_gain : Interval
        Null less own, own less null: above 0 where the heatmap points to what decides better than
        a heatmap of something else does.
    """

    label: str
    studies: int
    deletion: float
    insertion: float
    reference_deletion: float
    reference_insertion: float
    deletion_gain: Interval
    insertion_gain: Interval


def faithfulness_row(
    label: str,
    patients: Sequence[str],
    pairs: Sequence[tuple[FaithfulnessCurves, FaithfulnessCurves]],
    *,
    replicates: int,
    seed: int = 0,
) -> FaithfulnessRow:
    """Return one label's row from own and null curves of at least one study."""
    table = np.array(
        [
            [area(curve) for pair in (own, null) for curve in (pair.deletion, pair.insertion)]
            for own, null in pairs
        ]
    )
    weights = draw_weights(patients, np.ones(len(patients)), replicates=replicates, seed=seed)

    def gain(values: npt.NDArray[np.float64]) -> Interval:
        return interval_of(lambda drawn: (drawn @ values) / drawn.sum(axis=1), weights)

    deletion, insertion, reference_deletion, reference_insertion = table.mean(axis=0).tolist()
    return FaithfulnessRow(
        label,
        len(pairs),
        deletion,
        insertion,
        reference_deletion,
        reference_insertion,
        gain(table[:, 2] - table[:, 0]),
        gain(table[:, 1] - table[:, 3]),
    )

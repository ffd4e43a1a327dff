"""Arm run: one method trained with the ordinary loop, watched, and examined at its end."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from napari_ctclip.evaluation.evaluation_result import NO_SPLIT, Plan, evaluate_scores
from napari_ctclip.evaluation.label_metrics import Resampling
from napari_ctclip.evaluation.localisation import Localisation
from napari_ctclip.evaluation.score_table import ScoreTable, read_score_table, write_score_table
from napari_ctclip.evaluation.task_files import TaskSet
from napari_ctclip.experiments.examination import (
    ExaminedStudy,
    locate_findings,
    score_studies,
)
from napari_ctclip.experiments.plan import Arm, WorkPlan
from napari_ctclip.io.files import write_text
from napari_ctclip.pretraining.building import Assembly, assemble
from napari_ctclip.pretraining.data.draws import StudyDraws
from napari_ctclip.pretraining.data.samples import SampleSource
from napari_ctclip.pretraining.data.simulated_cohort import simulated_abnormalities
from napari_ctclip.pretraining.loop import Training, train
from napari_ctclip.pretraining.runs.launching import launch_fabric
from napari_ctclip.pretraining.runs.run_folder import RunFolder
from napari_ctclip.pretraining.runs.run_log import StepReport

__all__ = ["ArmResult", "CurvePoint", "run_arm"]

_CURVE, _SCORES, _PLACES = "curve.csv", "scores.csv", "places.json"

CurvePoint = tuple[int, float]
"""Step, and mean AUROC over the findings of some validation studies."""


@dataclass(frozen=True, eq=False)
class ArmResult:
    """What one arm reached.

    Attributes
    ----------
    arm : Arm
        Which one.
    table : ScoreTable
        Its answers about validation and test studies.
    places : list of (study, label, Localisation)
        Its heatmaps of the test studies' findings.
    curve : list of (step, AUROC)
        While it was trained.
    """

    arm: Arm
    table: ScoreTable
    places: list[tuple[str, str, Localisation]]
    curve: list[CurvePoint]


def run_arm(
    plan: WorkPlan,
    arm: Arm,
    cohort: SampleSource,
    studies: Sequence[ExaminedStudy],
    tasks: TaskSet,
    *,
    folder: Path,
    report: StepReport | None = None,
) -> ArmResult:
    """Return an arm's result; what of it lies in ``folder`` is not done again.

    Parameters
    ----------
    plan, arm
        What to train.
    cohort : SampleSource
        What to train on; the same for every arm.
    studies : sequence of ExaminedStudy
        Validation studies, then test studies.
    tasks : TaskSet
        What is asked.
    folder : Path
        Of the arm: the run, its learning curve and its answers.
    report : StepReport, optional
        Shows progress.

    Raises
    ------
    DataError
        If the folder holds a run of another recipe.
    """
    recipe = plan.recipe_of(arm)
    run = RunFolder(folder)
    if run.has_state:
        run.require_same_recipe(recipe)
    if not _is_examined(folder, studies):
        assembly = assemble(recipe, abnormalities=simulated_abnormalities(recipe.data.anatomies))
        draws = StudyDraws(cohort, recipe.optimizer.batch, seed=recipe.loop.seed)
        training = Training(recipe, assembly, draws, launch_fabric(recipe))
        watch = _Watch(plan, arm, assembly, studies, tasks, folder, report)
        train(training, run, resume=True, report=watch)
        _examine(plan, arm, assembly, studies, tasks, folder)
    return ArmResult(
        arm,
        read_score_table(folder / _SCORES),
        _read_places(folder / _PLACES),
        _read_curve(folder / _CURVE),
    )


class _Watch:
    """Asks the model in training about some validation studies, every so many steps."""

    def __init__(
        self,
        plan: WorkPlan,
        arm: Arm,
        assembly: Assembly,
        studies: Sequence[ExaminedStudy],
        tasks: TaskSet,
        folder: Path,
        report: StepReport | None,
    ) -> None:
        self._plan, self._arm, self._assembly, self._tasks = plan, arm, assembly, tasks
        valid = [study for study in studies if study.split == "valid"]
        self._studies = valid[: plan.examination.curve_studies]
        self._file, self._report = folder / _CURVE, report

    def __call__(self, step: int, steps: int, numbers: Mapping[str, float]) -> None:
        if self._report is not None:
            self._report(step, steps, numbers)
        if step % self._plan.examination.curve_every and step != steps:
            return
        table = score_studies(
            self._assembly.objective.model_of(self._assembly.trained),
            self._studies,
            self._tasks,
            anatomies=self._plan.data.anatomies,
            reads=self._arm.reads,
        )
        how = Plan("valid", NO_SPLIT, resampling=Resampling(replicates=100))
        value = evaluate_scores(table, how).macro.values["auroc"].value
        # a resumed run does some steps again
        kept = [point for point in _read_curve(self._file) if point[0] < step]
        with self._file.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([("step", "auroc"), *kept, (step, f"{value:.6g}")])


def _examine(
    plan: WorkPlan,
    arm: Arm,
    assembly: Assembly,
    studies: Sequence[ExaminedStudy],
    tasks: TaskSet,
    folder: Path,
) -> None:
    """Write the answers of the trained model; the last file says that all are there."""
    model = assembly.objective.model_of(assembly.trained)
    anatomies = plan.data.anatomies
    table = score_studies(model, studies, tasks, anatomies=anatomies, reads=arm.reads)
    write_score_table(table, folder / _SCORES)
    test = [study for study in studies if study.split == "test"]
    places = [[s, label, asdict(place)] for s, label, place in locate_findings(model, test, tasks)]
    write_text(folder / _PLACES, json.dumps(places))


def _is_examined(folder: Path, studies: Sequence[ExaminedStudy]) -> bool:
    """Return whether the answers in a folder are all there, and about these studies."""
    if not (folder / _PLACES).is_file():
        return False
    asked = tuple(study.simulated.study.study_id for study in studies)
    return read_score_table(folder / _SCORES).studies == asked


def _read_places(file: Path) -> list[tuple[str, str, Localisation]]:
    rows: list[tuple[str, str, dict[str, Any]]] = json.loads(file.read_text("utf-8"))
    return [(study, label, Localisation(**place)) for study, label, place in rows]


def _read_curve(file: Path) -> list[CurvePoint]:
    if not file.is_file():
        return []
    with file.open(newline="", encoding="utf-8") as stream:
        return [(int(row["step"]), float(row["auroc"])) for row in csv.DictReader(stream)]

"""Arm run: one method trained with the ordinary loop, watched, and evaluated at its end."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_ctclip.evaluation.evaluation_result import NO_SPLIT, Evaluation, Plan, evaluate_scores
from napari_ctclip.evaluation.label_metrics import Resampling
from napari_ctclip.experiments.arm_evaluation import ArmEvaluator
from napari_ctclip.experiments.plan import Arm, ExperimentPlan
from napari_ctclip.models.folder.model_folder import hash_of_folder
from napari_ctclip.pretraining.building import Assembly, assemble
from napari_ctclip.pretraining.data.draws import StudyDraws
from napari_ctclip.pretraining.data.samples import SampleSource
from napari_ctclip.pretraining.data.simulated_cohort import simulated_abnormalities
from napari_ctclip.pretraining.loop import Training, train
from napari_ctclip.pretraining.runs.launching import launch_fabric
from napari_ctclip.pretraining.runs.run_folder import RunFolder
from napari_ctclip.pretraining.runs.run_log import StepReport

__all__ = ["ArmResult", "CurvePoint", "run_arm"]

_CURVE, _EVALUATION = "curve.csv", "evaluation"

CurvePoint = tuple[int, float]
"""Step, and mean AUROC over the findings of some validation studies."""


@dataclass(frozen=True, eq=False)
class ArmResult:
    """The result of one arm.

    Attributes
    ----------
    arm : Arm
        The arm.
    evaluation : Evaluation
        Of the test studies, at thresholds from the validation studies.
    curve : list of (step, AUROC)
        While it was trained.
    """

    arm: Arm
    evaluation: Evaluation
    curve: list[CurvePoint]


def run_arm(
    plan: ExperimentPlan,
    arm: Arm,
    cohort: SampleSource,
    evaluator: ArmEvaluator,
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
    evaluator : ArmEvaluator
        Validation and test studies; the same for every arm.
    folder : Path
        Of the arm: the run, its learning curve and its evaluation.
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
    assembly = assemble(recipe, abnormalities=simulated_abnormalities(recipe.data.anatomies))
    draws = StudyDraws(cohort, recipe.optimizer.batch, seed=recipe.loop.seed)
    training = Training(recipe, assembly, draws, launch_fabric(recipe))
    watch = _Watch(plan, arm, assembly, evaluator, folder, report)
    train(training, run, resume=True, report=watch)
    model: Any = assembly.objective.model_of(assembly.trained)
    model.content_hash = hash_of_folder(run.model)  # its weights, as the run has written them
    evaluation = evaluator.evaluate(
        model,
        of=arm.reads,
        resampling=Resampling(plan.evaluation.replicates),
        out=folder / _EVALUATION,
    )
    return ArmResult(arm, evaluation, _read_curve(folder / _CURVE))


class _Watch:
    """Scores the model in training on some validation studies, every so many steps."""

    def __init__(
        self,
        plan: ExperimentPlan,
        arm: Arm,
        assembly: Assembly,
        evaluator: ArmEvaluator,
        folder: Path,
        report: StepReport | None,
    ) -> None:
        self._plan, self._arm, self._assembly = plan, arm, assembly
        self._evaluator, self._file, self._report = evaluator, folder / _CURVE, report

    def __call__(self, step: int, steps: int, numbers: Mapping[str, float]) -> None:
        if self._report is not None:
            self._report(step, steps, numbers)
        if step % self._plan.evaluation.curve_every and step != steps:
            return
        table = self._evaluator.scores(
            self._assembly.objective.model_of(self._assembly.trained),
            of=self._arm.reads,
            split="valid",
            studies=self._plan.evaluation.curve_studies,
        )
        how = Plan("valid", NO_SPLIT, resampling=Resampling(replicates=100))
        value = evaluate_scores(table, how).macro.values["auroc"].value
        # a resumed run does some steps again
        kept = [point for point in _read_curve(self._file) if point[0] < step]
        with self._file.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([("step", "auroc"), *kept, (step, f"{value:.6g}")])


def _read_curve(file: Path) -> list[CurvePoint]:
    if not file.is_file():
        return []
    with file.open(newline="", encoding="utf-8") as stream:
        return [(int(row["step"]), float(row["auroc"])) for row in csv.DictReader(stream)]

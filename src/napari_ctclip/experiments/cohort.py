"""Cohort of an experiment: the studies that arms are trained on, and those they are scored on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_ctclip.core.prompt import slug
from napari_ctclip.evaluation.simulated_cohort import (
    EVALUATION_SEED,
    VALIDATION_SEED,
    kept_study,
    load_study,
    simulated_cohort,
)
from napari_ctclip.evaluation.task_files import TaskSet, read_tasks
from napari_ctclip.experiments.arm_evaluation import ArmEvaluator
from napari_ctclip.experiments.plan import Arm, ExperimentPlan
from napari_ctclip.models.towers.locked_tower import LockedTower3d
from napari_ctclip.preprocessing.specification import Preprocessing
from napari_ctclip.pretraining.building import assemble
from napari_ctclip.pretraining.data.samples import SampleSource
from napari_ctclip.pretraining.data.simulated_cohort import SimulatedCohort, TokensAhead

__all__ = ["arm_folder", "cohort_of", "evaluator_of", "locked_tower_of", "tasks_of"]

_FINDINGS_STREAM = 17


def locked_tower_of(plan: ExperimentPlan) -> LockedTower3d | None:
    """Return the locked tower that every arm's model has, None if its image encoder learns."""
    if plan.model.image.get("kind") != "locked":
        return None
    assembly = assemble(plan.recipe_of(plan.arms[0]))
    model: Any = assembly.objective.model_of(assembly.trained)
    tower: LockedTower3d = model.image_encoder.eval()
    return tower


def cohort_of(plan: ExperimentPlan, folder: Path, tower: LockedTower3d | None) -> SampleSource:
    """Return the studies that every arm is trained on; what is simulated is kept in ``folder``."""
    data, file_of = plan.data, _simulator(plan, folder)
    cohort = SimulatedCohort(
        range(data.first_seed, data.first_seed + data.simulated_studies),
        preprocessing=_preprocessing(plan),
        anatomies=data.anatomies,
        crop=data.crop,
        flip=data.flip,
        shift=plan.cohort.shift,
        report=plan.cohort.report,
        keep=tower is None,
        simulate=lambda seed: load_study(file_of(seed)),
    )
    return cohort if tower is None else TokensAhead(cohort, tower)


def evaluator_of(plan: ExperimentPlan, folder: Path, tower: LockedTower3d | None) -> ArmEvaluator:
    """Return what scores every arm: studies of seeds that no training draws."""
    sizes = plan.evaluation
    seeds = [
        *range(VALIDATION_SEED, VALIDATION_SEED + sizes.valid),
        *range(EVALUATION_SEED, EVALUATION_SEED + sizes.test),
    ]
    return ArmEvaluator(
        simulated_cohort(seeds, folder, simulate=_simulator(plan, folder)),
        tasks_of(plan),
        preprocessing=_preprocessing(plan),
        anatomies=plan.data.anatomies,
        tower=tower,
    )


def tasks_of(plan: ExperimentPlan) -> TaskSet:
    """Return the tasks of the findings that occur."""
    tasks = read_tasks("simulated")
    return replace(tasks, tasks=tuple(t for t in tasks.tasks if t.label in plan.cohort.prevalence))


def arm_folder(out: Path, arm: Arm) -> Path:
    """Return where an arm lies."""
    return out / slug(arm.name)


def _simulator(plan: ExperimentPlan, folder: Path) -> Callable[[int], Path]:
    """Return what simulates, or finds, the study of a seed; other findings get another folder."""
    prevalence, spacing_mm = plan.cohort.prevalence, plan.preprocessing.spacing_mm
    made_of = json.dumps([spacing_mm, sorted(prevalence.items())]).encode()
    kept = folder / hashlib.sha256(made_of).hexdigest()[:12]

    def simulate(seed: int) -> Path:
        rng = np.random.default_rng([seed, _FINDINGS_STREAM])
        findings = [name for name, share in sorted(prevalence.items()) if rng.random() < share]
        return kept_study(seed, kept, spacing_mm=spacing_mm, findings=findings)

    return simulate


def _preprocessing(plan: ExperimentPlan) -> Preprocessing:
    return Preprocessing(**plan.preprocessing.model_dump())

"""Cohort of a same-work comparison: what arms are trained on, what they are asked about."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_ctclip.core.prompt import slug
from napari_ctclip.evaluation.simulated import EVALUATION_SEED, VALIDATION_SEED
from napari_ctclip.evaluation.study_cache import cached_study
from napari_ctclip.evaluation.task_files import TaskSet, read_tasks
from napari_ctclip.experiments.examination import ExaminedStudy, examined_studies
from napari_ctclip.experiments.plan import Arm, WorkPlan
from napari_ctclip.models.towers.locked_tower import LockedTower3d
from napari_ctclip.preprocessing.specification import Preprocessing
from napari_ctclip.pretraining.building import assemble
from napari_ctclip.pretraining.data.samples import SampleSource
from napari_ctclip.pretraining.data.simulated_cohort import SimulatedCohort, TokensAhead
from napari_ctclip.simulation import SimulatedStudy

__all__ = ["arm_folder", "cohort_of", "exam_of", "locked_tower_of", "tasks_of"]

_FINDINGS_STREAM = 17


def locked_tower_of(plan: WorkPlan) -> LockedTower3d | None:
    """Return the locked tower that every arm's model has, None if its image encoder learns."""
    if plan.model.image.get("kind") != "locked":
        return None
    assembly = assemble(plan.recipe_of(plan.arms[0]))
    model: Any = assembly.objective.model_of(assembly.trained)
    tower: LockedTower3d = model.image_encoder.eval()
    return tower


def cohort_of(plan: WorkPlan, folder: Path, tower: LockedTower3d | None) -> SampleSource:
    """Return the studies that every arm is trained on; what is simulated is kept in ``folder``."""
    data = plan.data
    cohort = SimulatedCohort(
        range(data.first_seed, data.first_seed + data.simulated_studies),
        preprocessing=_preprocessing(plan),
        anatomies=data.anatomies,
        crop=data.crop,
        flip=data.flip,
        shift=plan.cohort.shift,
        report=plan.cohort.report,
        keep=tower is None,
        simulate=_simulator(plan, folder),
    )
    return cohort if tower is None else TokensAhead(cohort, tower)


def exam_of(plan: WorkPlan, folder: Path, tower: LockedTower3d | None) -> list[ExaminedStudy]:
    """Return validation studies, then test studies, of seeds that no training draws."""
    simulate, examination = _simulator(plan, folder), plan.examination
    seeds = {
        "valid": range(VALIDATION_SEED, VALIDATION_SEED + examination.valid),
        "test": range(EVALUATION_SEED, EVALUATION_SEED + examination.test),
    }
    return [
        study
        for split, drawn in seeds.items()
        for study in examined_studies(
            map(simulate, drawn),
            split=split,
            preprocessing=_preprocessing(plan),
            anatomies=plan.data.anatomies,
            tower=tower,
        )
    ]


def tasks_of(plan: WorkPlan) -> TaskSet:
    """Return the questions about the findings that occur."""
    tasks = read_tasks("simulated")
    return replace(tasks, tasks=tuple(t for t in tasks.tasks if t.label in plan.cohort.prevalence))


def arm_folder(out: Path, arm: Arm) -> Path:
    """Return where an arm lies."""
    return out / slug(arm.name)


def _simulator(plan: WorkPlan, folder: Path) -> Callable[[int], SimulatedStudy]:
    """Return what makes, or finds, the study of a seed; other findings get another folder."""
    prevalence, spacing_mm = plan.cohort.prevalence, plan.preprocessing.spacing_mm
    made_of = json.dumps([spacing_mm, sorted(prevalence.items())]).encode()
    kept = folder / hashlib.sha256(made_of).hexdigest()[:12]

    def simulate(seed: int) -> SimulatedStudy:
        chance = np.random.default_rng([seed, _FINDINGS_STREAM])
        findings = [name for name, share in sorted(prevalence.items()) if chance.random() < share]
        return cached_study(seed, kept, spacing_mm=spacing_mm, findings=findings)

    return simulate


def _preprocessing(plan: WorkPlan) -> Preprocessing:
    return Preprocessing(**plan.preprocessing.model_dump())

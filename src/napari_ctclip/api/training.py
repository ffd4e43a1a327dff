"""From an archive to a trained and evaluated model, as the command lines do it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ctclip.api.encoded import load_model
from napari_ctclip.api.scans import progress_bar, warn_of
from napari_ctclip.core.errors import CtClipError

if TYPE_CHECKING:
    from napari_ctclip.evaluation.evaluation_result import Evaluation, Plan
    from napari_ctclip.io.store.study_record import StoreSpecification
    from napari_ctclip.models.interface import VisionLanguageModel
    from napari_ctclip.preparation.preparation import Options, Summary
    from napari_ctclip.preparation.sources.archive import Source

__all__ = ["evaluate", "prepare", "train"]


def evaluate(
    manifest: Path | str,
    task: str,
    *,
    out: Path | str,
    model: str | Path | VisionLanguageModel = "starter",
    plan: Plan | None = None,
) -> Evaluation:
    """Return how well a model finds labelled findings, with intervals over patients.

    The results are written to ``out`` as tables and one HTML page; a stopped evaluation resumes
    there.

    Parameters
    ----------
    manifest : path
        The studies and their labels, .jsonl or .csv; or seeds of simulated studies, such as
        ``"simulated:100000-100199"``, which are kept in ``out/simulated``.
    task : str
        The name of a shipped task set, or a TOML file.
    out : path
        The folder of the results.
    model : str, path or VisionLanguageModel
        The model.
    plan : EvaluationPlan, optional
        The evaluated split, the split that thresholds are chosen on, and the resampling; by
        default ``test``, ``valid`` and 1000 bootstrap replicates.

    Raises
    ------
    DataError
        If a split is empty, no label is known, or no study can be used.
    """
    from napari_ctclip.evaluation.evaluate_studies import (
        Extras,
        StudiesPending,
        evaluate_studies,
    )
    from napari_ctclip.evaluation.evaluation_result import Plan
    from napari_ctclip.evaluation.result_files import write_evaluation
    from napari_ctclip.evaluation.score_studies import StudyScorer
    from napari_ctclip.evaluation.simulated_cohort import read_cohort
    from napari_ctclip.evaluation.task_files import read_tasks
    from napari_ctclip.models.runtime.device import resolved_device

    device = resolved_device("auto")
    loaded = load_model(model) if isinstance(model, str | Path) else model
    scorer = StudyScorer(loaded, read_tasks(task), device=device)
    cohort, lesions = read_cohort(str(manifest), Path(out) / "simulated")
    with progress_bar("scoring") as report:
        found = evaluate_studies(
            cohort,
            scorer,
            plan or Plan(),
            out=Path(out),
            extras=Extras(lesions=lesions),
            progress=lambda done, total, _: report(done, total),
        )
    if isinstance(found, StudiesPending):
        raise CtClipError(
            f"{len(found.studies)} studies are with other processes; evaluate again when they end"
        )
    warn_of(found.notices)
    write_evaluation(found, Path(out))
    return found


def prepare(
    source: Source,
    out: Path | str,
    *,
    store: StoreSpecification | None = None,
    options: Options | None = None,
) -> Summary:
    """Return what was made of an archive of scans and reports: a training set in ``out``.

    Stopped at any moment and started again, it resumes.

    Parameters
    ----------
    source : Source
        Where scans and reports lie, and how they are laid out.
    out : path
        The folder of the training set: manifest, store of scans and masks, quality report.
    store : StoreSpecification, optional
        The grid, the anatomies and the masks; 2 mm and the 36 shipped anatomies by default.
    options : PreparationOptions, optional
        The splits, the language and the number of processes.

    Raises
    ------
    DataError
        If no study can be used, ``out`` was prepared otherwise, or the disk is too small.
    """
    from napari_ctclip.core.anatomy_table import read_anatomy_table
    from napari_ctclip.io.store.study_record import StoreSpecification
    from napari_ctclip.preparation.preparation import (
        Listener,
        Options,
        plan_preparation,
    )
    from napari_ctclip.preparation.preparation import prepare as prepare_plan
    from napari_ctclip.preparation.sources.archive import draft_of

    options = options or Options(workers=os.cpu_count() or 1)
    if store is None:
        parts = dict(read_anatomy_table().parts)
        store = StoreSpecification(spacing_mm=(2.0, 2.0, 2.0), anatomies=tuple(parts), parts=parts)
    plan = plan_preparation(draft_of(source), options)
    warn_of(plan.notices)
    with progress_bar("preparing") as report:
        return prepare_plan(
            plan, Path(out), store, options=options, listener=Listener(progress=report)
        )


def train(
    recipe: Path | str,
    out: Path | str,
    *,
    data: Path | str | None = None,
    overrides: Sequence[str] = (),
    resume: bool = False,
) -> Path:
    """Train a model by a recipe; return its folder, which ``load_model`` opens.

    Parameters
    ----------
    recipe : str or path
        A method whose recipe is shipped (``"clip"``, ``"siglip"``, ``"ct_glip"``,
        ``"ct_glip_finetune"``, ``"lrclr"``, ``"fvlm"`` or ``"clip_ild_dapt"``), or a recipe file.
    out : path
        The folder of the run.
    data : path, optional
        A prepared training set; simulated studies without it.
    overrides : sequence of str
        Changes to the recipe, e.g. ``"optimizer.steps=500"``.
    resume : bool
        Resume the run in ``out``.

    Raises
    ------
    CtClipError
        If there is no such recipe, or the loss explodes or is not finite.
    DataError
        If ``out`` holds a run already, or data and recipe do not fit together.
    """
    from napari_ctclip.pretraining.loop import train as train_recipe
    from napari_ctclip.pretraining.recipe_files import load_recipe
    from napari_ctclip.pretraining.runs.run_folder import RunFolder
    from napari_ctclip.pretraining.runs.shipped_recipes import METHOD_SUMMARIES, recipe_file
    from napari_ctclip.pretraining.sources import method_training

    shipped = str(recipe) in METHOD_SUMMARIES
    if not shipped and not Path(recipe).is_file():
        raise CtClipError(
            f"no recipe {str(recipe)!r}; expected one of {', '.join(METHOD_SUMMARIES)}, or a file"
        )
    file = recipe_file(str(recipe)) if shipped else Path(recipe)
    chosen = load_recipe(file, overrides=overrides)
    training = method_training(chosen, None if data is None else Path(data))
    warn_of(training.notices)
    folder = RunFolder(Path(out))
    with progress_bar(chosen.method, show=training.launch.fabric.is_global_zero) as bar:
        train_recipe(
            training, folder, resume=resume, report=lambda done, total, _: bar(done, total)
        )
    return folder.model

"""``napari-ctclip evaluate`` and ``compare``: honest numbers of a model on labelled studies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_ctclip.cli import terminal

if TYPE_CHECKING:
    from rich.progress import Progress

    from napari_ctclip.evaluation.bootstrap import Interval
    from napari_ctclip.evaluation.embedding_readout import EmbeddingReadout
    from napari_ctclip.evaluation.evaluate_studies import Extras
    from napari_ctclip.evaluation.evaluation_result import Evaluation, Plan
    from napari_ctclip.evaluation.montage_readout import MontageReadout
    from napari_ctclip.evaluation.operating_point import Rule
    from napari_ctclip.evaluation.score_studies import StudyProgress, StudyScorer
    from napari_ctclip.evaluation.study_source import Lesion, StudySource

__all__ = ["compare", "evaluate"]

OutOption = Annotated[
    Path, typer.Option(help="Folder for the results; a stopped run resumes there.")
]
ReplicatesOption = Annotated[int, typer.Option(min=100, help="Resamples behind an interval.")]
ReadOutOption = Annotated[
    str,
    typer.Option(
        help="volume: the task's organ, as in the viewer; whole, organ: the embedding of the scan "
        "or of the organ; montage: of randomly drawn patches, the same for every model; "
        "ranked-montage: of those most similar to the task's prompts."
    ),
]
SeedOption = Annotated[int, typer.Option(help="Of the resamples.")]


def evaluate(
    manifest: Annotated[
        str,
        typer.Argument(
            help="Studies and labels, .jsonl or .csv; or simulated:FIRST-LAST (seeds), or "
            "simulated-patches:COUNT for a 2D model."
        ),
    ],
    task: Annotated[str, typer.Option(help="Name of a shipped task set, or a TOML file.")],
    out: OutOption,
    model: Annotated[str, typer.Option(help="Name of a model, or its folder.")] = "starter",
    split: Annotated[str, typer.Option(help="Evaluated split, or 'all'.")] = "test",
    threshold_on: Annotated[
        str,
        typer.Option(
            help="Split that thresholds and calibrations are chosen on; 'none': probability 0.5; "
            "the evaluated split: the literature's threshold, named optimistic everywhere."
        ),
    ] = "valid",
    threshold_rule: Annotated[str, typer.Option(help="youden or closest-to-corner.")] = "youden",
    masks: Annotated[
        str,
        typer.Option(help="Of studies without a mask file: quick (made from HU) or none."),
    ] = "quick",
    read_out: ReadOutOption = "volume",
    grid: Annotated[str, typer.Option(help="Rows x columns of a montage's tiles.")] = "4x4",
    lesions: Annotated[
        Path | None, typer.Option(help="CSV study_id, label, file: where the findings lie.")
    ] = None,
    columns: Annotated[
        Path | None, typer.Option(help="CSV study_id and further columns, for --subgroup.")
    ] = None,
    subgroup: Annotated[
        list[str] | None, typer.Option(help="Column of subgroups; repeatable.")
    ] = None,
    faithfulness: Annotated[
        int, typer.Option(min=0, help="Positive studies a label whose heatmaps are tested; slow.")
    ] = 0,
    replicates: ReplicatesOption = 1000,
    seed: SeedOption = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")] = "auto",
) -> None:
    """Score labelled studies zero-shot and measure: one encoding a study, intervals over patients.

    Under torchrun or srun every process takes its share of the studies; the last to finish, or the
    same command run once more, writes the results.
    """
    if threshold_rule not in ("youden", "closest-to-corner"):
        raise typer.BadParameter(f"{threshold_rule!r} is neither 'youden' nor 'closest-to-corner'")
    if masks not in ("quick", "none"):
        raise typer.BadParameter(f"{masks!r} is neither 'quick' nor 'none'")
    from napari_ctclip.evaluation.evaluation_result import Plan
    from napari_ctclip.evaluation.label_metrics import Resampling

    rule: Rule = "youden" if threshold_rule == "youden" else "closest-to-corner"
    plan = Plan(split, threshold_on, rule, Resampling(replicates, seed))
    extras = _extras(lesions, columns, subgroup or [], faithfulness)
    readout = _readout(read_out, grid, extras)
    scorer = _scorer(task, model=model, masks=masks, device=device, readout=readout)
    cohort, known = _cohort(manifest, scorer, out / "simulated")
    extras = replace(extras, lesions={**known, **extras.lesions})
    _run(cohort, scorer, plan, extras, out=out)


def compare(
    results: Annotated[list[Path], typer.Argument(help="Two or more folders of 'evaluate'.")],
    out: Annotated[Path, typer.Option(help="Folder for the comparison.")],
    replicates: ReplicatesOption = 2000,
    seed: SeedOption = 0,
) -> None:
    """Compare models on the studies that both scored: DeLong, paired bootstrap, Holm."""
    from napari_ctclip.evaluation.label_metrics import MACRO, Resampling
    from napari_ctclip.evaluation.result_files import compare_folders, write_comparison

    comparison = compare_folders(results, resampling=Resampling(replicates, seed))
    terminal.print_notices(comparison.notices)
    files = write_comparison(comparison, out)
    for row in comparison.rows:
        if row.label == MACRO:
            terminal.say(
                f"{row.pair[1]} less {row.pair[0]}, macro {row.metric.replace('_', ' ')}: "
                f"{_shown(row.difference)}, p {row.p_bootstrap:.3f}"
            )
    _print_files(files)


# --- inside -------------------------------------------------------------------------------------


def _extras(
    lesions: Path | None,
    columns: Path | None,
    subgroups: list[str],
    faithfulness: int,
) -> Extras:
    from napari_ctclip.core.errors import DataError
    from napari_ctclip.evaluation.evaluate_studies import Extras
    from napari_ctclip.evaluation.lesion_files import read_lesion_table
    from napari_ctclip.evaluation.subgroups import read_study_columns

    known = {} if columns is None else read_study_columns(columns)
    missing = [name for name in subgroups if name not in known]
    if missing:
        raise DataError(
            f"{columns or '--columns'}: no column {', '.join(missing)}; it has "
            f"{', '.join(known) or 'none: give a CSV with --columns'}"
        )
    return Extras(
        {} if lesions is None else read_lesion_table(lesions),
        {name: known[name] for name in subgroups},
        faithfulness,
    )


def _readout(read_out: str, grid: str, extras: Extras) -> MontageReadout | EmbeddingReadout | None:
    from napari_ctclip.evaluation.embedding_readout import EmbeddingReadout
    from napari_ctclip.evaluation.montage_readout import MontageReadout

    if read_out == "volume":
        return None
    if read_out == "whole" or read_out == "organ":
        if extras.faithfulness:
            raise typer.BadParameter("--faithfulness tests --read-out volume, no embedding")
        return EmbeddingReadout("whole" if read_out == "whole" else "organ")
    if read_out not in ("montage", "ranked-montage"):
        raise typer.BadParameter(
            f"no --read-out {read_out!r}: volume, whole, organ, montage or ranked-montage"
        )
    if extras.lesions or extras.faithfulness:
        raise typer.BadParameter(
            "a montage has no heatmap: --lesions and --faithfulness need another --read-out"
        )
    return MontageReadout(read_out == "ranked-montage", terminal.rows_and_columns(grid))


def _scorer(
    task: str,
    *,
    model: str,
    masks: str,
    device: str,
    readout: MontageReadout | EmbeddingReadout | None,
) -> StudyScorer:
    from napari_ctclip.evaluation.score_studies import StudyScorer
    from napari_ctclip.evaluation.task_files import read_tasks
    from napari_ctclip.evaluation.worker import worker_of_launcher
    from napari_ctclip.models.factory import load_model

    tasks = read_tasks(task)
    where = worker_of_launcher().device(device)
    return StudyScorer(
        load_model(model, device=where),
        tasks,
        masks="none" if masks == "none" else "quick",
        device=where,
        readout=readout,
    )


def _cohort(
    manifest: str, scorer: StudyScorer, folder: Path
) -> tuple[Sequence[StudySource], dict[str, dict[str, Lesion]]]:
    from napari_ctclip.evaluation.simulated_cohort import read_cohort
    from napari_ctclip.pretraining.starter import evaluation as patches

    if manifest.startswith(patches.SIMULATED_PATCHES):
        count = patches.patches_of(manifest)
        return patches.simulated_patches(scorer.model, patches=count), {}
    return read_cohort(manifest, folder)


def _run(
    cohort: Sequence[StudySource], scorer: StudyScorer, plan: Plan, extras: Extras, *, out: Path
) -> None:
    from napari_ctclip.evaluation.evaluate_studies import StudiesPending, evaluate_studies
    from napari_ctclip.evaluation.result_files import write_evaluation
    from napari_ctclip.evaluation.worker import worker_of_launcher

    worker = worker_of_launcher()
    with terminal.bar(counts=True) as bar:
        progress = _progress(bar)
        found = evaluate_studies(
            cohort, scorer, plan, out=out, extras=extras, worker=worker, progress=progress
        )
    if isinstance(found, StudiesPending):
        terminal.say(
            f"process {worker.rank + 1} of {worker.world_size} is done; {len(found.studies)} "
            "studies are with others. The last to finish writes the results, or this command run "
            "once more."
        )
        return
    terminal.print_notices(found.notices)
    files = write_evaluation(found, out)
    _print_metrics(found)
    _print_files(files)


def _progress(bar: Progress) -> StudyProgress:
    from napari_ctclip.evaluation.scored_study import ScoredStudy

    task = bar.add_task("scoring", total=None)

    def update(done: int, total: int, study: ScoredStudy) -> None:
        bar.update(task, completed=done, total=total)
        if study.error:
            terminal.warn(f"warning: {study.study_id}: {study.error}")

    return update


def _print_metrics(evaluation: Evaluation) -> None:
    for metrics in (*evaluation.labels, evaluation.macro):
        area = metrics.values["auroc"]
        counts = f"{metrics.studies} studies"
        if metrics.operating_point is not None:
            counts = f"{metrics.positives} of {counts}"
        line = f"{metrics.label:34s} {counts:20s} AUROC {_shown(area)}"
        terminal.say(f"{line}  {'; '.join(metrics.notes)}".rstrip())


def _shown(interval: Interval) -> str:
    if not math.isfinite(interval.value):
        return "not defined"
    if not math.isfinite(interval.low):
        return f"{interval.value:.3f}"
    return f"{interval.value:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def _print_files(files: list[Path]) -> None:
    for path in files:
        terminal.say(f"  {path}")

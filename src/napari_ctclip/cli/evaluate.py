"""``napari-ctclip evaluate`` and ``compare``: honest numbers of a model on labelled studies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_ctclip.cli import terminal

if TYPE_CHECKING:
    from rich.progress import Progress

    from napari_ctclip.evaluation.bootstrap import Interval
    from napari_ctclip.evaluation.evaluate_manifest import Extras
    from napari_ctclip.evaluation.evaluation_result import Evaluation, Plan
    from napari_ctclip.evaluation.montage_readout import MontageReadout
    from napari_ctclip.evaluation.operating_point import Rule
    from napari_ctclip.evaluation.score_studies import StudyScorer, Told
    from napari_ctclip.io.store.manifest_entry import ManifestEntry

__all__ = ["compare", "evaluate"]

OutOption = Annotated[
    Path, typer.Option(help="Folder for the results; a stopped run resumes there.")
]
ReplicatesOption = Annotated[int, typer.Option(min=100, help="Resamples behind an interval.")]
ReadOutOption = Annotated[
    str,
    typer.Option(
        help="volume; montage: one of randomly drawn patches, the same for every model; "
        "ranked-montage: of those most similar to the task's prompts."
    ),
]
SeedOption = Annotated[int, typer.Option(help="Of the resamples.")]


def evaluate(
    manifest: Annotated[Path, typer.Argument(help="Studies and labels, .jsonl or .csv.")],
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
        list[str] | None, typer.Option(help="Column to tell apart; repeatable.")
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
    from napari_ctclip.io.store.manifest import read_manifest

    rule: Rule = "youden" if threshold_rule == "youden" else "closest-to-corner"
    plan = Plan(split, threshold_on, rule, Resampling(replicates, seed))
    extras = _extras(manifest, lesions, columns, subgroup or [], faithfulness)
    montage = _montage(read_out, grid, extras)
    entries = read_manifest(manifest).entries
    scorer = _scorer(task, model=model, masks=masks, device=device, montage=montage)
    _run(entries, scorer, plan, extras, out=out)


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
                f"{_told(row.difference)}, p {row.p_bootstrap:.3f}"
            )
    _print_files(files)


# --- inside -------------------------------------------------------------------------------------


def _extras(
    manifest: Path,
    lesions: Path | None,
    columns: Path | None,
    subgroups: list[str],
    faithfulness: int,
) -> Extras:
    from napari_ctclip.core.errors import DataError
    from napari_ctclip.evaluation.evaluate_manifest import Extras
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


def _montage(read_out: str, grid: str, extras: Extras) -> MontageReadout | None:
    from napari_ctclip.evaluation.montage_readout import MontageReadout

    if read_out not in ("volume", "montage", "ranked-montage"):
        raise typer.BadParameter(f"no --read-out {read_out!r}: volume, montage or ranked-montage")
    if read_out == "volume":
        return None
    if extras.lesions or extras.faithfulness:
        raise typer.BadParameter("a montage has no heatmap: --lesions and --faithfulness need "
                                 "--read-out volume")  # fmt: skip
    return MontageReadout(read_out == "ranked-montage", terminal.rows_and_columns(grid))


def _scorer(
    task: str, *, model: str, masks: str, device: str, montage: MontageReadout | None
) -> StudyScorer:
    from napari_ctclip.evaluation.score_studies import StudyScorer
    from napari_ctclip.evaluation.sharding import share_of_launcher
    from napari_ctclip.evaluation.task_files import read_tasks
    from napari_ctclip.models.factory import load_model

    tasks = read_tasks(task)
    where = share_of_launcher().device(device)
    return StudyScorer(
        load_model(model, device=where),
        tasks,
        masks="none" if masks == "none" else "quick",
        device=where,
        montage=montage,
    )


def _run(
    entries: Sequence[ManifestEntry], scorer: StudyScorer, plan: Plan, extras: Extras, *, out: Path
) -> None:
    from napari_ctclip.evaluation.evaluate_manifest import StudiesPending, evaluate_manifest
    from napari_ctclip.evaluation.result_files import write_evaluation
    from napari_ctclip.evaluation.sharding import share_of_launcher

    share = share_of_launcher()
    with terminal.bar(counts=True) as bar:
        told = _teller(bar)
        found = evaluate_manifest(
            entries, scorer, plan, out=out, extras=extras, share=share, told=told
        )
    if isinstance(found, StudiesPending):
        terminal.say(
            f"process {share.rank + 1} of {share.processes} is done; {len(found.studies)} studies "
            "are with others. The last to finish writes the results, or this command run once more."
        )
        return
    terminal.print_notices(found.notices)
    files = write_evaluation(found, out)
    _print_metrics(found)
    _print_files(files)


def _teller(bar: Progress) -> Told:
    from napari_ctclip.evaluation.scored_study import ScoredStudy

    task = bar.add_task("scoring", total=None)

    def told(done: int, total: int, study: ScoredStudy) -> None:
        bar.update(task, completed=done, total=total)
        if study.error:
            terminal.warn(f"warning: {study.study_id}: {study.error}")

    return told


def _print_metrics(evaluation: Evaluation) -> None:
    for metrics in (*evaluation.labels, evaluation.macro):
        area = metrics.values["auroc"]
        counts = f"{metrics.studies} studies"
        if metrics.operating_point is not None:
            counts = f"{metrics.positives} of {counts}"
        line = f"{metrics.label:34s} {counts:20s} AUROC {_told(area)}"
        terminal.say(f"{line}  {'; '.join(metrics.notes)}".rstrip())


def _told(interval: Interval) -> str:
    if not math.isfinite(interval.value):
        return "not defined"
    if not math.isfinite(interval.low):
        return f"{interval.value:.3f}"
    return f"{interval.value:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def _print_files(files: list[Path]) -> None:
    for path in files:
        terminal.say(f"  {path}")

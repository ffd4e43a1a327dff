"""``napari-ctclip-train study``: several methods on one simulated cohort at the same work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_ctclip.cli import terminal
from napari_ctclip.cli.program import EXIT_STOPPED
from napari_ctclip.pretraining.runs.shipped_recipes import installed_recipe

if TYPE_CHECKING:
    from rich.progress import Progress

    from napari_ctclip.experiments.arm_run import ArmResult
    from napari_ctclip.experiments.plan import ExperimentPlan
    from napari_ctclip.pretraining.runs.run_log import StepReport

__all__ = ["study"]

_FIGURE = "study.png"


def study(
    out: Annotated[Path, typer.Option("--out", help="Folder of the runs; a stopped one resumes.")],
    plan: Annotated[
        Path | None, typer.Option("--plan", help="TOML file; the shipped one by default.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Override, e.g. optimizer.steps=100.")
    ] = None,
    simulated: Annotated[
        Path | None, typer.Option(help="Folder of simulated studies; OUT/simulated by default.")
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(help="Page whose results are replaced, the figure in ../images beside it."),
    ] = None,
) -> None:
    """Train every arm of a plan on the same cohort with the same compute, evaluate, compare."""
    # imported here: torch and fabric take seconds, and --help needs neither
    from napari_ctclip.experiments.arm_run import run_arm
    from napari_ctclip.experiments.cohort import (
        arm_folder,
        cohort_of,
        evaluator_of,
        locked_tower_of,
    )
    from napari_ctclip.experiments.plan import load_plan
    from napari_ctclip.pretraining.loop import Stopped

    work = load_plan(plan or installed_recipe("study", "study.toml"), overrides=overrides or ())
    kept = simulated or out / "simulated"
    tower = locked_tower_of(work)
    cohort, evaluator = cohort_of(work, kept, tower), evaluator_of(work, kept, tower)
    results = []
    with terminal.bar() as bar:
        for arm in work.arms:
            try:
                report = _reporter(bar, arm.name)
                folder = arm_folder(out, arm)
                results.append(run_arm(work, arm, cohort, evaluator, folder=folder, report=report))
            except Stopped:
                terminal.warn("stopped; the same command resumes")
                raise typer.Exit(EXIT_STOPPED) from None
    terminal.say(_written(work, results, out, page))


def _written(
    work: ExperimentPlan, results: Sequence[ArmResult], out: Path, page: Path | None
) -> str:
    """Write table and figure into the folder, and into the page where there is one; return it."""
    from napari_ctclip.evaluation.label_metrics import Resampling
    from napari_ctclip.experiments.results import (
        arm_row,
        insert_part,
        paired_rows,
        results_part,
        write_figure,
    )
    from napari_ctclip.io.files import write_text

    how = Resampling(work.evaluation.replicates)
    rows = [arm_row(result) for result in results]
    pairs = paired_rows(results, work.pairs, how)
    figure = out / _FIGURE if page is None else page.parent.parent / "images" / _FIGURE
    write_figure(results, rows, figure)
    shown = _FIGURE if page is None else f"../images/{_FIGURE}"
    part = results_part(rows, pairs, shown)
    write_text(out / "results.md", part + "\n")
    if page is not None:
        insert_part(page, part)
    return part


def _reporter(bar: Progress, name: str) -> StepReport:
    task = bar.add_task(name, total=None)

    def report(done: int, total: int, numbers: Mapping[str, float]) -> None:
        line = f"{name}  step {done}/{total}  loss {numbers['loss']:.3f}"
        bar.update(task, completed=done, total=total, description=line)

    return report

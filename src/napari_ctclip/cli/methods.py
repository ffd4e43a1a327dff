"""One command a method of ``napari-ctclip-train``: clip, siglip, ct_glip, lrclr, fvlm, ..."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_ctclip.cli import terminal
from napari_ctclip.cli.program import EXIT_STOPPED
from napari_ctclip.core.errors import CtClipError
from napari_ctclip.pretraining.runs.shipped_recipes import METHOD_SUMMARIES, recipe_file

if TYPE_CHECKING:
    from rich.progress import Progress

    from napari_ctclip.pretraining.cost import Cost
    from napari_ctclip.pretraining.recipe import Recipe
    from napari_ctclip.pretraining.runs.run_log import StepReport

__all__ = ["register", "trained_with_progress"]


Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="Manifest of a prepared set, or its folder; simulated studies without it.",
        show_default=False,
    ),
]
Out = Annotated[Path | None, typer.Option("--out", help="Folder of the run.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Override, e.g. optimizer.steps=500.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue where the run in --out stopped.")]
RecipeFile = Annotated[Path | None, typer.Option("--recipe", help="Another recipe file.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Measure one step and print what the training will take.")
]


def register(app: typer.Typer) -> None:
    """Add a command for every method."""
    for name, what in METHOD_SUMMARIES.items():
        app.command(name, help=f"Train {name}: {what}.")(_command(name))


def _command(method: str) -> Callable[..., None]:
    def command(
        data: Data = None,
        out: Out = None,
        overrides: Overrides = None,
        resume: Resume = False,
        recipe: RecipeFile = None,
        dry_run: DryRun = False,
    ) -> None:
        if out is None and not dry_run:
            raise typer.BadParameter("give the folder of the run with --out, or --dry-run")
        _train(
            method,
            recipe or recipe_file(method),
            data=data,
            out=None if dry_run else out,
            overrides=overrides or (),
            resume=resume,
        )

    return command


def _train(
    method: str,
    file: Path,
    *,
    data: Path | None,
    out: Path | None,
    overrides: Sequence[str],
    resume: bool,
) -> None:
    """Train, or without a folder of the run measure what training would take."""
    # imported here: torch and fabric take seconds, and --help needs neither
    from napari_ctclip.pretraining.loop import train
    from napari_ctclip.pretraining.recipe_files import load_recipe
    from napari_ctclip.pretraining.runs.run_folder import RunFolder
    from napari_ctclip.pretraining.sources import method_training

    recipe = load_recipe(file, overrides=overrides)
    if recipe.method != method:
        raise CtClipError(f"{file} is a recipe of {recipe.method!r}, not of {method!r}")
    training = method_training(recipe, data)
    is_first = training.launch.fabric.is_global_zero
    if is_first:
        terminal.print_notices(training.notices)
    if out is None:
        from napari_ctclip.pretraining.cost import measure_cost

        _print_cost(measure_cost(training), recipe)
        return
    folder = RunFolder(out)
    spent = trained_with_progress(
        method, lambda report: train(training, folder, resume=resume, report=report)
    )
    if is_first:
        terminal.say(f"model written to {folder.model}")
        if spent["seconds"]:
            share = spent["waited"] / spent["seconds"]
            terminal.say(f"waited for data {share:.1%} of {spent['seconds']:.0f} s")


def trained_with_progress(method: str, work: Callable[[StepReport], object]) -> Mapping[str, float]:
    """Run a training under a progress bar; return the seconds it took and waited for data.

    A training that was stopped ends the command with the exit code of an interrupt.
    """
    from napari_ctclip.pretraining.loop import Stopped

    spent = {"seconds": 0.0, "waited": 0.0}
    with terminal.bar() as bar:
        try:
            work(_reporter(bar, method, spent))
        except Stopped as stopped:
            terminal.warn(str(stopped))
            raise typer.Exit(EXIT_STOPPED) from None
    return spent


def _reporter(bar: Progress, method: str, spent: dict[str, float]) -> StepReport:
    """Return what shows a step, and adds up the seconds spent and waited."""

    def report(done: int, total: int, numbers: Mapping[str, float]) -> None:
        line = f"{method}  step {done}/{total}  loss {numbers['loss']:.3f}"
        for name in spent:
            spent[name] += numbers[name]
        if not bar.tasks:  # the first rank alone reports
            bar.add_task(method, total=total)
        bar.update(bar.tasks[0].id, completed=done, total=total, description=line)

    return report


def _print_cost(cost: Cost, recipe: Recipe) -> None:
    whole, trained = cost.parameters / 1e6, cost.trained_parameters / 1e6
    lines = {
        "parameters": f"{whole:.1f} M, {trained:.1f} M trained",
        "samples": f"{cost.studies} studies, each seen {cost.epochs:.1f} times",
        "memory": f"{cost.peak_gb:.1f} GB at batch {recipe.optimizer.batch}",
        "FLOPs": f"{cost.tflops:.3f} TFLOP a step",
        "time": f"{cost.step_seconds:.2f} s a step ({cost.data_seconds:.2f} s for its data, "
        f"made meanwhile), {cost.total_hours:.2f} h for {recipe.optimizer.steps} steps",
    }
    for name, value in lines.items():
        terminal.say(f"{name:12s} {value}")

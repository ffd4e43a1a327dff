"""One command a method of ``napari-ctclip-train``: clip, siglip, ct_glip, lrclr, fvlm, ..."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from napari_ctclip.cli import terminal
from napari_ctclip.core.errors import CtClipError
from napari_ctclip.pretraining.runs.shipped_recipes import METHOD_SUMMARIES, recipe_file

if TYPE_CHECKING:
    from napari_ctclip.pretraining.cost import Cost
    from napari_ctclip.pretraining.recipe import Recipe
    from napari_ctclip.pretraining.runs.run_folder import RunFolder
    from napari_ctclip.pretraining.runs.run_log import StepReport

__all__ = ["register"]

_STOPPED = 130  # what shells give for an interrupt

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
Resume = Annotated[bool, typer.Option("--resume", help="Go on where the run in --out stopped.")]
RecipeFile = Annotated[Path | None, typer.Option("--recipe", help="Another recipe file.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Measure one step and tell what the training will take.")
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
    from napari_ctclip.pretraining.building import assemble
    from napari_ctclip.pretraining.loop import Stopped, train_method
    from napari_ctclip.pretraining.recipe_files import load_recipe
    from napari_ctclip.pretraining.runs.launching import launch_fabric
    from napari_ctclip.pretraining.runs.run_folder import RunFolder
    from napari_ctclip.pretraining.sources import prepared_data, simulated_data

    recipe = load_recipe(file, overrides=overrides)
    if recipe.method != method:
        raise CtClipError(f"{file} is a recipe of {recipe.method!r}, not of {method!r}")
    training = simulated_data(recipe) if data is None else prepared_data(recipe, data)
    source = training.source
    folder = None
    if out is not None:
        folder = _run_folder(RunFolder(out), recipe, training.identity, resume=resume)
    assembly = assemble(recipe, abnormalities=training.abnormalities)
    launch = launch_fabric(recipe, assembly.trained)
    if launch.fabric.is_global_zero:
        terminal.print_notices(training.notices)
    if folder is None:
        from napari_ctclip.pretraining.cost import measure_cost

        _print_cost(measure_cost(launch, recipe, assembly, source), recipe)
        return
    if launch.fabric.is_global_zero:
        folder.write_recipe(recipe)
        folder.write_data(training.identity)
    quiet = not launch.fabric.is_global_zero
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=terminal.err, transient=True, disable=quiet) as bar:
        spent = {"seconds": 0.0, "waited": 0.0}
        report = _reporter(bar, method, spent)
        try:
            train_method(
                launch, recipe, assembly, source, folder=folder, resume=resume, report=report
            )
        except Stopped as stopped:
            terminal.err.print(str(stopped))
            raise typer.Exit(_STOPPED) from None
    if launch.fabric.is_global_zero:
        terminal.out.print(f"model written to {folder.model}", markup=False)
        if spent["seconds"]:
            share = spent["waited"] / spent["seconds"]
            terminal.out.print(f"waited for data {share:.1%} of {spent['seconds']:.0f} s")


def _run_folder(
    folder: RunFolder, recipe: Recipe, data: Mapping[str, Any], *, resume: bool
) -> RunFolder:
    if not resume:
        folder.require_fresh()
    elif folder.has_state:
        folder.require_same_recipe(recipe)
        folder.require_same_data(data)
    return folder


def _reporter(bar: Progress, method: str, spent: dict[str, float]) -> StepReport:
    """Return what shows a step, and adds up the seconds spent and waited."""
    task = bar.add_task(method, total=None)

    def report(done: int, total: int, numbers: Mapping[str, float]) -> None:
        told = f"{method}  step {done}/{total}  loss {numbers['loss']:.3f}"
        for name in spent:
            spent[name] += numbers[name]
        bar.update(task, completed=done, total=total, description=told)

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
        terminal.out.print(f"{name:12s} {value}", markup=False)

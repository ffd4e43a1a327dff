"""napari-ctclip-train: pretraining recipes from the command line."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from napari_ctclip.cli import methods as cli_methods
from napari_ctclip.cli import prepare as cli_prepare
from napari_ctclip.cli import reports as cli_reports
from napari_ctclip.cli import simulate as cli_simulate
from napari_ctclip.cli import study as cli_study
from napari_ctclip.cli.program import VersionOption, make_program
from napari_ctclip.core.errors import CtClipError
from napari_ctclip.pretraining.runs.shipped_recipes import (
    METHOD_SUMMARIES,
    STARTER_SUMMARIES,
    recipe_file,
)

__all__ = ["app"]

app = make_program(
    "napari-ctclip-train",
    help_text="Train CT vision-language models; every method is a recipe.",
)
cli_reports.register(app)
app.command()(cli_prepare.prepare)
app.command()(cli_simulate.simulate_ild)
app.command()(cli_study.study)

cli_methods.register(app)

_METHODS = {**STARTER_SUMMARIES, **METHOD_SUMMARIES}

Out = Annotated[Path, typer.Option("--out", help="Folder of the run.")]
Data = Annotated[Path | None, typer.Option("--data", help="Folder of simulated studies.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Override, e.g. optimizer.steps=200.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue where the run in --out stopped.")]
RecipeFile = Annotated[Path | None, typer.Option("--recipe", help="Another recipe file.")]


@app.callback(invoke_without_command=True)
def _options(
    listed: Annotated[bool, typer.Option("--list", help="List the methods and stop.")] = False,
    version: VersionOption = False,
) -> None:
    """Take the options that stand before a command."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    if listed:
        for name, what in _METHODS.items():
            typer.echo(f"{name:17s} {what}")
        raise typer.Exit


@app.command()
def starter(
    out: Out,
    data: Data = None,
    overrides: Overrides = None,
    resume: Resume = False,
    recipe: RecipeFile = None,
    device: Annotated[str, typer.Option(hidden=True)] = "auto",
) -> None:
    """Train the bundled model from nothing: text student, simulated studies, image encoder."""
    from napari_ctclip.pretraining.recipe_files import load_recipe
    from napari_ctclip.pretraining.starter.starter import pretrain_starter

    file = recipe_file("starter") if recipe is None else recipe
    chosen = load_recipe(file, overrides=[*_of_device(device), *(overrides or ())])
    cli_methods.trained_with_progress(
        "starter",
        lambda report: pretrain_starter(chosen, out, data=data, resume=resume, report=report),
    )
    typer.echo(f"model written to {out / 'model'}")


@app.command("starter_2d")
def starter_2d(
    out: Out,
    overrides: Overrides = None,
    resume: Resume = False,
    recipe: RecipeFile = None,
) -> None:
    """Train the bundled 2D model from nothing: simulated slices, patches, montages."""
    from napari_ctclip.pretraining.recipe_files import load_recipe
    from napari_ctclip.pretraining.starter.starter_2d import pretrain_starter_2d

    file = recipe_file("starter_2d") if recipe is None else recipe
    chosen = load_recipe(file, overrides=overrides or ())
    cli_methods.trained_with_progress(
        "starter_2d", lambda report: pretrain_starter_2d(chosen, out, resume=resume, report=report)
    )
    typer.echo(f"model written to {out / 'model'}")


def _of_device(device: str) -> list[str]:
    """Return the overrides that ``--device`` of earlier versions stands for."""
    if device == "auto":
        return []
    if ":" in device:
        kind, _, number = device.partition(":")
        raise CtClipError(
            f"--device {device}: choose one of several devices with CUDA_VISIBLE_DEVICES={number} "
            f"and --set loop.accelerator={kind}"
        )
    return [f"loop.accelerator={device}", "loop.devices=1"]


@app.command(hidden=True)
def evaluate_starter(
    out: Out,
    model: Annotated[str, typer.Option(help="Name or folder.")] = "starter",
    studies: Annotated[int, typer.Option(help="How many simulated studies.")] = 200,
    seed: Annotated[
        int, typer.Option(help="Of the first study; from 100000: never seen.")
    ] = 100_000,
) -> None:
    """Evaluate a model on simulated studies; see ``napari-ctclip evaluate simulated:SEEDS``."""
    _evaluate(f"simulated:{seed}-{seed + studies - 1}", "simulated_phrasings", model, out)


@app.command("evaluate-starter-2d", hidden=True)
def evaluate_starter_2d(
    model: Annotated[str, typer.Option(help="Name or folder.")] = "starter-2d",
    patches: Annotated[int, typer.Option(help="How many simulated patches.")] = 1200,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("runs/patches"),
) -> None:
    """Evaluate a 2D model on simulated patches; see ``napari-ctclip evaluate``."""
    _evaluate(f"simulated-patches:{patches}", "simulated_patches", model, out)


@app.command()
def calibrate_starter(
    folder: Annotated[Path, typer.Argument(help="Checkpoint folder; its model.toml is changed.")],
    out: Out,
    studies: Annotated[int, typer.Option(help="How many validation studies.")] = 60,
) -> None:
    """Fit the probability of a region score on simulated validation studies."""
    from napari_ctclip.evaluation.simulated_cohort import VALIDATION_SEED
    from napari_ctclip.pretraining.starter.evaluation import calibrate_checkpoint

    seeds = range(VALIDATION_SEED, VALIDATION_SEED + studies)
    calibration = calibrate_checkpoint(folder, seeds, out=out)
    typer.echo(f"slope {calibration.slope:.3f}, intercept {calibration.intercept:.3f}")


def _evaluate(manifest: str, task: str, model: str, out: Path) -> None:
    """Run the users' evaluation of a cohort without a validation split."""
    from napari_ctclip.cli.evaluate import evaluate

    evaluate(manifest, task=task, out=out, model=model, split="all", threshold_on="none")


if __name__ == "__main__":
    app()

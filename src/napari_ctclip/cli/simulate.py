"""``napari-ctclip-train simulate-ild``: simulated patients with patterns of lung disease."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_ctclip.cli import terminal

__all__ = ["simulate_ild"]


def simulate_ild(
    out: Annotated[Path, typer.Argument(help="Folder for scans, masks and manifest.jsonl.")],
    train: Annotated[int, typer.Option(min=0, help="Patients to train on.")] = 60,
    test: Annotated[int, typer.Option(min=0, help="Patients held out.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Of the first patient.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
) -> None:
    """Simulate chest CTs with UIP, NSIP, OP, HP, emphysema or none, each with a short report."""
    if train + test == 0:
        raise typer.BadParameter("nothing to simulate: give --train or --test")
    from napari_ctclip.experiments.ild_cohort import write_ild_cohort

    with terminal.bar(counts=True) as bar:
        task = bar.add_task("simulating", total=train + test)
        manifest = write_ild_cohort(
            out,
            train=train,
            test=test,
            seed=seed,
            workers=workers,
            progress=lambda done, total: bar.update(task, completed=done),
        )
    terminal.say(f"{train} patients to train on and {test} to test on in {manifest}")

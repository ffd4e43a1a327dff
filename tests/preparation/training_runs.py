"""Trainings on prepared sets, run as a user does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from napari_ctclip.cli import train as cli_train
from napari_ctclip.pretraining.recipe import Recipe
from napari_ctclip.pretraining.recipe_files import load_recipe
from tests.paths import TRAINING

_QUICK = ("optimizer.steps=2", "optimizer.batch=2", "optimizer.warm_up=0", "loop.save_every=1")


def smoke(method: str, *overrides: str) -> Recipe:
    return load_recipe(TRAINING / method / "smoke.toml", overrides=overrides)


def train(method: str, data: Path, out: Path, *overrides: str, more: tuple[str, ...] = ()) -> str:
    """Train with the smoke recipe as a user does; return what was printed."""
    arguments = [method, "--recipe", str(TRAINING / method / "smoke.toml")]
    arguments += ["--data", str(data), "--out", str(out), *more]
    for override in (*_QUICK, *overrides):
        arguments += ["--set", override]
    result = CliRunner().invoke(cli_train.app, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def refusal(monkeypatch, capsys, *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["napari-ctclip-train", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli_train.app()
    assert stopped.value.code == 3
    told = capsys.readouterr().err
    assert "Traceback" not in told
    return told

"""The training command lists its methods and refuses in one line."""

from __future__ import annotations

import sys

import pytest
from typer.testing import CliRunner

from napari_ctclip.cli import train as cli_train
from napari_ctclip.pretraining.runs.shipped_recipes import recipe_file


def test_methods_are_listed():
    result = CliRunner().invoke(cli_train.app, ["--list"])
    assert result.exit_code == 0
    assert "starter" in result.output


def test_a_wrong_override_is_one_line_on_stderr(tmp_path, monkeypatch, capsys):
    arguments = ["starter", "--out", str(tmp_path), "--set", "training.stepz=1"]
    monkeypatch.setattr(sys, "argv", ["napari-ctclip-train", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli_train.app()
    assert stopped.value.code == 3
    assert "stepz" in capsys.readouterr().err


def test_the_shipped_recipe_is_found_and_reads():
    from napari_ctclip.pretraining.recipe_files import load_recipe

    assert load_recipe(recipe_file("starter")).optimizer.steps > 100


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("optimizer.stepz=1", "unknown key 'optimizer.stepz'; did you mean 'steps'?"),
        ("optimiser.steps=1", "unknown key 'optimiser'; did you mean 'optimizer'?"),
        ("objective.callibration=1", "unknown key 'objective.callibration'"),
        ("optimizer.steps=many", "'optimizer.steps': input should be a valid integer"),
        ("optimizer.steps.more=1", "'steps' is a value, not a table"),
        ("loop.precision=fp8", "'loop.precision'"),
    ],
)
def test_a_mistake_in_a_recipe_is_told_with_what_was_meant(override, told, monkeypatch, capsys):
    monkeypatch.setattr(
        sys, "argv", ["napari-ctclip-train", "fvlm", "--dry-run", "--set", override]
    )
    with pytest.raises(SystemExit) as stopped:
        cli_train.app()
    assert stopped.value.code == 3
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error


def test_a_recipe_of_another_method_is_refused(monkeypatch, capsys):
    arguments = ["clip", "--dry-run", "--recipe", str(recipe_file("fvlm"))]
    monkeypatch.setattr(sys, "argv", ["napari-ctclip-train", *arguments])
    with pytest.raises(SystemExit):
        cli_train.app()
    assert "is a recipe of 'fvlm', not of 'clip'" in capsys.readouterr().err


def test_dry_run_tells_the_cost(monkeypatch):
    smoke = recipe_file("lrclr").with_name("smoke.toml")
    result = CliRunner().invoke(cli_train.app, ["lrclr", "--dry-run", "--recipe", str(smoke)])
    assert result.exit_code == 0, result.output
    for word in ("parameters", "samples", "memory", "TFLOP", "h for 20 steps"):
        assert word in result.output

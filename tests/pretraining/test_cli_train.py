"""The training command lists its methods and refuses in one line."""

from __future__ import annotations

import sys

import pytest
from typer.testing import CliRunner

from napari_ctclip import cli_train
from napari_ctclip.cli_methods import recipe_file


def test_methods_are_listed():
    result = CliRunner().invoke(cli_train.app, ["--list"])
    assert result.exit_code == 0
    assert "starter" in result.output


def test_a_wrong_override_is_one_line_on_stderr(tmp_path, monkeypatch, capsys):
    arguments = ["starter", "--out", str(tmp_path), "--set", "training.stepz=1"]
    monkeypatch.setattr(sys, "argv", ["napari-ctclip-train", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli_train.main()
    assert stopped.value.code == 2
    assert "stepz" in capsys.readouterr().err


def test_the_shipped_recipe_is_found_and_reads():
    from napari_ctclip.pretraining.recipe import load_recipe

    assert load_recipe(recipe_file("starter")).training.steps > 100

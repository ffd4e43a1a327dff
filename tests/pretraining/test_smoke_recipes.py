"""Every smoke recipe trains, its loss falls, and its folder answers in a Session."""

from __future__ import annotations

import csv
import tomllib

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from napari_ctclip.cli import train as cli_train
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.pretraining.building import METHODS, assemble
from napari_ctclip.pretraining.recipe_files import load_recipe
from napari_ctclip.pretraining.runs.shipped_recipes import METHOD_SUMMARIES
from napari_ctclip.session.session import Session
from napari_ctclip.simulation import simulate_study
from tests.paths import TRAINING


@pytest.fixture(scope="module")
def study():
    return simulate_study(1, spacing_mm=(8.0, 8.0, 8.0)).study


def test_every_method_has_its_objective_recipes_and_readme():
    assert list(METHODS) == list(METHOD_SUMMARIES)
    for method in METHODS:
        assert (TRAINING / method / "README.md").is_file()
        for name in ("recipe.toml", "smoke.toml"):
            recipe = load_recipe(TRAINING / method / name)
            assert recipe.method == method
            METHODS[method].options_type.model_validate(recipe.objective)


@pytest.mark.parametrize("method", METHODS)
def test_smoke_recipe_learns_and_its_folder_answers(method, study, tmp_path):
    out = tmp_path / "run"
    arguments = [method, "--recipe", str(TRAINING / method / "smoke.toml"), "--out", str(out)]
    result = CliRunner().invoke(cli_train.app, arguments)
    assert result.exit_code == 0, result.output
    losses = [float(row["loss"]) for row in csv.DictReader((out / "metrics.csv").open())]
    assert np.mean(losses[-3:]) < 0.9 * np.mean(losses[:3])
    assert list((out / "tensorboard").iterdir())
    session = Session(cache=FeatureCache(tmp_path / "cache"), device="cpu")
    session.set_study(study)
    session.load_model(out / "model")
    session.set_encoding(session.compute_encoding())
    session.ask(Prompt("lung nodule"))
    (answer,) = session.answers
    values = answer.similarity_map.values
    assert np.isfinite(values).sum() > 20
    assert np.nanstd(values) > 0
    asked = {"lung"} if method == "fvlm" else {"lung_right", "lung_left", "heart", "aorta"}
    assert asked <= {score.anatomy for score in answer.organs}


def test_shipped_models_can_be_built_where_their_parts_are_here():
    for method in ("siglip", "ct_glip", "lrclr"):
        recipe = load_recipe(TRAINING / method / "recipe.toml")
        with torch.device("cpu"):
            assembly = assemble(recipe)
        assert sum(p.numel() for p in assembly.trained.parameters()) > 1e6


def test_smoke_recipes_differ_from_real_ones_in_size_only():
    for method in METHODS:
        real, smoke = (
            tomllib.loads((TRAINING / method / name).read_text("utf-8"))
            for name in ("recipe.toml", "smoke.toml")
        )
        assert real["model"]["kind"] == smoke["model"]["kind"]

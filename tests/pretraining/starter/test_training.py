"""Training runs, stops, goes on, and what it writes opens as a model."""

from __future__ import annotations

import csv

import pytest
import torch

from napari_ctclip.core.errors import DataError
from napari_ctclip.models.factory import load_model
from napari_ctclip.pretraining.recipe_files import load_recipe
from napari_ctclip.pretraining.starter import starter
from napari_ctclip.pretraining.starter.train import learning_rate
from tests.models.small_model import small_tokenizer
from tests.paths import TRAINING
from tests.pretraining.data.test_crops import write_block

RECIPES = TRAINING / "starter"


@pytest.fixture
def run(tmp_path):
    """A folder with a study and an untrained text student; its recipe."""
    recipe = load_recipe(RECIPES / "smoke.toml")
    data, text = tmp_path / "studies", tmp_path / "run" / "text"
    data.mkdir()
    write_block(data, 3)
    text.mkdir(parents=True)
    small_tokenizer().save(str(text / "tokenizer.json"))
    torch.manual_seed(0)
    model = starter.build_model(starter.describe(recipe), small_tokenizer())
    torch.save(
        {
            "student": model.text_encoder.state_dict(),
            "projection": model.text_projection.state_dict(),
        },
        text / "student.pt",
    )
    return recipe, tmp_path / "run", data


def test_two_steps_write_a_model_that_opens(run):
    recipe, out, data = run
    folder = starter.pretrain_starter(recipe, out, data=data, resume=True)
    model = load_model(folder)
    assert model.embed_text(["small nodule"]).shape == (1, 64)
    assert model.suggested_prompts[0] == "lung nodule"
    rows = list(csv.DictReader((out / "metrics.csv").open()))
    assert [row["step"] for row in rows] == ["0", "1"]
    assert all(float(row["grounding"]) > 0 for row in rows)


def test_a_stopped_run_goes_on_where_it_was(run):
    recipe, out, data = run
    starter.pretrain_starter(recipe, out, data=data, resume=True)
    longer = load_recipe(RECIPES / "smoke.toml", overrides=["training.steps=3"])
    starter.pretrain_starter(longer, out, data=data, resume=True)
    rows = list(csv.DictReader((out / "metrics.csv").open()))
    assert [row["step"] for row in rows] == ["0", "1", "2"]
    assert torch.load(out / "training_state.pt", weights_only=True)["step"] == 3


def test_the_rate_rises_then_falls_to_zero():
    rates = [learning_rate(s, peak=1.0, warm_up=10, steps=100) for s in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[100] == pytest.approx(0.0)


def test_recipe_overrides_apply_and_unknown_keys_are_refused():
    recipe = load_recipe(RECIPES / "recipe.toml", overrides=["training.steps=7"])
    assert recipe.optimizer.steps == 7
    with pytest.raises(DataError, match="stepz"):
        load_recipe(RECIPES / "recipe.toml", overrides=["training.stepz=7"])
    with pytest.raises(DataError, match="key=value"):
        load_recipe(RECIPES / "recipe.toml", overrides=["training.steps"])

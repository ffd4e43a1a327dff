"""Recipes read as one kind, those of earlier versions too, and a mistake is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli_w

from napari_ctclip.core.errors import DataError
from napari_ctclip.pretraining.recipe import Recipe
from napari_ctclip.pretraining.recipe_files import load_recipe, read_table
from tests.paths import TRAINING

OLD = Path(__file__).with_name("old_recipes")


@pytest.mark.parametrize("method", ["starter", "starter_2d", "fvlm"])
def test_a_recipe_of_an_earlier_version_says_what_the_shipped_one_says(method):
    assert load_recipe(OLD / f"{method}.recipe.toml") == load_recipe(
        TRAINING / method / "recipe.toml"
    )


def test_defaults_of_an_earlier_version_are_filled_in():
    old = load_recipe(OLD / "starter.smoke.toml")
    assert old.data.wide == load_recipe(TRAINING / "starter" / "smoke.toml").data.wide
    assert (old.data.lesion_share, old.optimizer.ema, old.optimizer.steps) == (0.7, 0.998, 2)


@pytest.mark.parametrize(
    "file", [TRAINING / "starter" / "recipe.toml", OLD / "starter.recipe.toml"]
)
def test_overrides_of_an_earlier_version_reach_the_key_of_today(file):
    recipe = load_recipe(
        file,
        overrides=["training.steps=7", "training.seed=3", "data.crop=32", "data.wide_every=0",
                   "data.studies=5", "text.steps=4", "model.text.layers=1"],
    )  # fmt: skip
    assert (recipe.optimizer.steps, recipe.loop.seed) == (7, 3)
    assert (recipe.data.crop, recipe.data.simulated_studies) == ((32, 32, 32), 5)
    assert recipe.data.wide.every == 0
    assert recipe.data.wide.batch == 2
    assert recipe.distillation.steps == 4
    assert recipe.distillation.encoder["layers"] == 1
    assert recipe.distillation.encoder["width"] == 192


def test_overrides_of_the_earlier_2d_recipe_reach_the_key_of_today():
    recipe = load_recipe(
        TRAINING / "starter_2d" / "recipe.toml",
        overrides=["training.places=0", "training.cosine=9", "data.slices=3", "model.pixel_mm=0.5"],
    )
    assert recipe.objective["localisation"] == 0
    assert recipe.objective["ranking"] == 12
    assert recipe.optimizer.cosine_steps == 9
    assert (recipe.data.pool.slices, recipe.data.pool.chests) == (3, 60)
    assert recipe.preprocessing.spacing_mm == (5.0, 0.5, 0.5)


def test_overrides_apply_and_unknown_keys_are_refused():
    file = TRAINING / "starter" / "recipe.toml"
    assert load_recipe(file, overrides=["optimizer.steps=7"]).optimizer.steps == 7
    with pytest.raises(DataError, match=r"'optimizer\.stepz'; did you mean 'steps'"):
        load_recipe(file, overrides=["training.stepz=7"])
    with pytest.raises(DataError, match=r"'data\.wide\.evry'; did you mean 'every'"):
        load_recipe(file, overrides=["data.wide.evry=7"])
    with pytest.raises(DataError, match="key=value"):
        load_recipe(file, overrides=["optimizer.steps"])


def test_a_recipe_written_with_its_defaults_reads_as_the_same(tmp_path):
    for method in ("starter", "starter_2d", "clip"):
        recipe = load_recipe(TRAINING / method / "recipe.toml")
        (tmp_path / "recipe.toml").write_text(tomli_w.dumps(recipe.to_plain()), "utf-8")
        assert read_table(tmp_path / "recipe.toml", Recipe) == recipe

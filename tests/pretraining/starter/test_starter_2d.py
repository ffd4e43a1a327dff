"""The 2D starter: its pool, its batches, and a training of two steps that open_clip opens."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch

from napari_ctclip.models.factory import load_model
from napari_ctclip.pretraining.data.sentences import canonical, load_vocabulary
from napari_ctclip.pretraining.recipe_files import load_recipe
from napari_ctclip.pretraining.starter import starter_2d
from napari_ctclip.pretraining.starter.patch_batches import PatchSampler, degrade_slice
from napari_ctclip.pretraining.starter.patch_objective import draw_phrasing, text_classes
from napari_ctclip.pretraining.starter.patch_pool import PATCH_FINDINGS, PatchPool, make_pool
from napari_ctclip.pretraining.starter.starter_2d import pretrain_starter_2d
from napari_ctclip.pretraining.starter.token_targets import TISSUES
from tests.paths import TRAINING

RECIPES = TRAINING / "starter_2d"
WINDOWS = ((-1024.0, -824.0), (-1350.0, 150.0), (-160.0, 240.0))


@pytest.fixture(scope="module")
def pool() -> PatchPool:
    return make_pool(slices=60, chests=0, per_chest=0, seed=5)


@pytest.fixture
def placed_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words at random places: the sentence encoder is not what is tested."""
    monkeypatch.setattr(starter_2d, "sentence_encoder_words", placed)


def placed(count: int, width: int) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(0))


def test_pool_is_the_same_after_saving(pool: PatchPool, tmp_path: Path) -> None:
    pool.save(tmp_path / "pool.npz")
    stored = PatchPool.load(tmp_path / "pool.npz")
    assert np.array_equal(stored.hounsfield, pool.hounsfield)
    assert np.array_equal(stored.present(), pool.present())
    assert [p.name for p in tmp_path.iterdir()] == ["pool.npz"]


def test_batch_says_what_each_patch_shows(pool: PatchPool) -> None:
    sampler = PatchSampler(pool, windows_hu=WINDOWS, image_size=32)
    batch = sampler.draw(48, np.random.default_rng(0))
    assert batch.image.shape == (48, 3, 32, 32)
    assert -1e-5 <= float(batch.image.min()) < float(batch.image.max()) <= 1 + 1e-5
    assert batch.seen.shape == (48, len(PATCH_FINDINGS) + len(TISSUES))
    normal = batch.seen[:, len(PATCH_FINDINGS) + TISSUES.index("lung")] == 1
    findings = batch.seen[:, : len(PATCH_FINDINGS)] == 1
    assert normal.sum() >= 5
    assert findings.any(dim=1).sum() >= 15
    assert not findings[normal].any()
    again = sampler.draw(48, np.random.default_rng(0))
    assert torch.equal(again.image, batch.image)


def test_degraded_slice_keeps_its_mean_and_gets_noise() -> None:
    flat = np.full((80, 80), -850, np.int16)
    levels, means = [], []
    for seed in range(40):
        hu = degrade_slice(flat, np.random.default_rng(seed), pixel_mm=0.7)
        levels.append(hu.std())
        means.append(hu.mean())
    assert 2.5 < min(levels) < 12 < 30 < max(levels) <= 82
    assert abs(np.mean(means) + 850) < 8


def test_most_scanners_store_nothing_below_air() -> None:
    air = np.full((60, 60), -1000, np.int16)
    lowest = [
        degrade_slice(air, np.random.default_rng(seed), pixel_mm=0.7).min() for seed in range(40)
    ]
    cut = np.isclose(lowest, -1024.0)
    assert 0.5 < cut.mean() < 1.0
    assert min(lowest) < -1060


def test_two_steps_write_a_model_that_open_clip_opens(
    placed_words: None, pool: PatchPool, tmp_path: Path
) -> None:
    recipe = load_recipe(RECIPES / "smoke.toml")
    pool.save(tmp_path / "pool.npz")
    folder = pretrain_starter_2d(recipe, tmp_path)
    model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    ours = load_model(folder)
    assert ours.name == "starter-2d"
    assert ours.preprocessing.windows_hu == recipe.preprocessing.windows_hu
    assert ours.preprocessing.spacing_mm[1:] == (0.7, 0.7)
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(["lung nodule"])
    with torch.inference_mode():
        expected = model.encode_text(tokens, normalize=True)
    assert torch.allclose(ours.embed_text(["lung nodule"]), expected, atol=1e-5)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert "trained.earlier.head.weight" in state["module"]
    words = state["module"]["trained.model.clip.token_embedding.weight"]
    assert torch.equal(words, placed(*words.shape) * 0.05)  # they stay where they were placed
    longer = load_recipe(RECIPES / "smoke.toml", overrides=["training.steps=3"])
    pretrain_starter_2d(longer, tmp_path, resume=True)
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert [row["step"] for row in rows] == ["0", "1", "2"]
    assert float(rows[0]["ranking"]) == 0 < float(rows[1]["ranking"])
    whole = tmp_path / "whole"
    whole.mkdir()
    pool.save(whole / "pool.npz")
    pretrain_starter_2d(longer, whole)
    states = [torch.load(f / "state.pt", weights_only=True) for f in (tmp_path, whole)]
    for part in ("module", "average"):
        for name, tensor in states[0][part].items():
            assert torch.equal(tensor, states[1][part][name]), name


def test_no_held_out_phrasing_is_drawn() -> None:
    vocabulary, rng = load_vocabulary(), np.random.default_rng(0)
    classes = text_classes(vocabulary)
    drawn = {canonical(draw_phrasing(kind, vocabulary, rng)) for kind in classes * 60}
    assert len(drawn) > 400
    assert not drawn & vocabulary.held_out

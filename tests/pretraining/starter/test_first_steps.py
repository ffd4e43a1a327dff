"""The bundled models train what they trained when they had loops of their own, step by step.

The numbers were recorded with those loops, every random choice fixed, in float32.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_ctclip.pretraining.building import Assembly, objective_options, open_clip_of
from napari_ctclip.pretraining.data.sentences import load_vocabulary
from napari_ctclip.pretraining.loop import Training, train
from napari_ctclip.pretraining.objectives.objective import Setting
from napari_ctclip.pretraining.recipe_files import load_recipe
from napari_ctclip.pretraining.runs.launching import launch_fabric
from napari_ctclip.pretraining.runs.run_folder import RunFolder
from napari_ctclip.pretraining.starter import starter, starter_2d
from napari_ctclip.pretraining.starter.crop_batches import CropDraws, CropPlan, TokenBatch
from napari_ctclip.pretraining.starter.dataset import StudyFolder
from napari_ctclip.pretraining.starter.patch_batches import PatchDraws, PatchSampler
from napari_ctclip.pretraining.starter.patch_objective import PatchObjective
from napari_ctclip.pretraining.starter.patch_pool import PATCH_FINDINGS, make_pool
from napari_ctclip.pretraining.starter.token_grounding import TokenGrounding
from napari_ctclip.pretraining.starter.token_targets import TISSUES
from tests.models.small_model import small_tokenizer
from tests.paths import TRAINING
from tests.pretraining.starter.test_dataset import write_block

LUNG = len(PATCH_FINDINGS) + TISSUES.index("lung")
STARTER = [
    {"grounding": 0.61199, "naming": 2.0371, "regions": 1.1131, "gradient_norm": 39.278},
    {"grounding": 0.33563, "naming": 1.804, "regions": 1.083, "gradient_norm": 26.376},
    {"grounding": 0.18893, "naming": 1.5228, "regions": 1.0164, "gradient_norm": 15.394},
    {"grounding": 0.27356, "naming": 1.6302, "regions": 0.89643, "gradient_norm": 17.295},
    {"grounding": 0.22035, "naming": 1.4948, "regions": 0.91983, "gradient_norm": 8.7159},
]
STARTER_2D = [9.7371, 10.235, 8.2369, 6.6143, 6.7099]
CPU = ["optimizer.steps=5", "optimizer.warm_up=2", "loop.accelerator=cpu", "loop.devices=1"]


class Fixed:
    """The random choices of the recorded run."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(5)

    def permutation(self, n: int) -> np.ndarray:
        return np.arange(n)

    def random(self, n: int, dtype: type) -> np.ndarray:
        return self._rng.random(n, dtype=np.float32)

    def choice(self, found: np.ndarray, most: int, *, replace: bool) -> np.ndarray:
        return found[:most]


def logged(folder: Path, training: Training) -> list[dict[str, float]]:
    """Train and return the terms of every step."""
    train(training, RunFolder(folder))
    rows = csv.DictReader((folder / "metrics.csv").open())
    return [{name: float(cell) for name, cell in row.items()} for row in rows]


def fixed_crops(folder: Path) -> type[CropDraws]:
    """Return draws of two crops a step, with each finding and tissue called by its name."""
    vocabulary = load_vocabulary()
    names = [kind.name for kind in vocabulary.findings + vocabulary.tissues]
    write_block(folder, 3)

    class Crops(CropDraws):
        def collate(self, samples: Any) -> TokenBatch:
            batch = super().collate(samples)
            said = (
                tuple(name if text else "" for name, text in zip(names, row, strict=True))
                for row in batch.phrasings
            )
            return replace(batch, phrasings=tuple(said))

    return Crops


def test_the_starter_trains_what_it_trained(tmp_path: Path) -> None:
    class Grounding(TokenGrounding):
        choices = Fixed()

        def start_step(self, module: Any, step: int) -> None:
            findings, tissues = self.vocabulary.findings, self.vocabulary.tissues
            named = [finding.name for finding in findings for _ in range(self.options.phrasings)]
            negated = [f"no {finding.name}" for finding in findings]
            self._sentences = [*named, *negated, *(tissue.background for tissue in tissues)]
            self._rng = self.choices

    recipe = load_recipe(TRAINING / "starter" / "smoke.toml", overrides=CPU)
    small_tokenizer().save(str(tmp_path / "tokenizer.json"))
    torch.manual_seed(0)
    model = starter.build_architecture(starter.describe(recipe), text_folder=tmp_path)
    model.own_autocast = False
    objective = Grounding(objective_options(recipe, TokenGrounding), Setting((), 0, batch=2))
    assembly = Assembly(objective.module(model, lambda: model), objective, lambda *_: None)
    draws = fixed_crops(tmp_path)
    studies = StudyFolder(tmp_path, windows_hu=recipe.preprocessing.windows_hu, lesion_share=1.0)
    crops = draws(studies, CropPlan(32, 2), seed=0)
    rows = logged(tmp_path / "run", Training(recipe, assembly, crops, launch_fabric(recipe)))
    for row, expected in zip(rows, STARTER, strict=True):
        assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-3)


def test_the_2d_starter_trains_what_it_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss alone: the clipped norm counts the auxiliary read-out since, which moves 0.2 %."""

    def words(count: int, width: int) -> torch.Tensor:
        return torch.randn(count, width, generator=torch.Generator().manual_seed(0))

    class Patches(PatchDraws):
        def draws(self, step: int) -> list[Callable[[], Any]]:
            batch = self._sampler.draw(12, np.random.default_rng([0, 1, step]))
            parts = zip(batch.image, batch.seen.numpy(), batch.shares, strict=True)
            return [partial(tuple, part) for part in parts]

    class Objective(PatchObjective):
        choices = Fixed()

        def start_step(self, module: Any, step: int) -> None:
            self._kinds = np.arange(12)
            self._texts = [self._classes[kind].name for kind in self._kinds]
            ranked = [*self._classes[: len(PATCH_FINDINGS)], self._classes[LUNG]]
            is_ranked = step >= self.options.ranking_from
            self._ranked = [kind.name for kind in ranked] if is_ranked else []
            self._rng = self.choices

    monkeypatch.setattr(starter_2d, "sentence_encoder_words", words)
    ranked_late = ["optimizer.batch=12", "objective.ranking_from=2"]
    recipe = load_recipe(TRAINING / "starter_2d" / "smoke.toml", overrides=[*CPU, *ranked_late])
    model = open_clip_of(recipe)
    model.own_autocast = False
    starter_2d._initialise_words(model)
    objective = Objective(objective_options(recipe, PatchObjective), Setting((), 0, batch=12))
    torch.manual_seed(3)
    assembly = Assembly(objective.module(model, lambda: model), objective, lambda *_: None)
    sampler = PatchSampler(
        make_pool(slices=24, chests=0, per_chest=0, seed=0),
        windows_hu=recipe.preprocessing.windows_hu,
        image_size=64,
    )
    patches = Patches(sampler, 12, seed=0)
    rows = logged(tmp_path, Training(recipe, assembly, patches, launch_fabric(recipe)))
    assert [row["loss"] for row in rows] == pytest.approx(STARTER_2D, rel=2e-3)

"""A training that is killed, stopped or goes wrong loses nothing that was saved."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_ctclip.core.errors import DataError
from napari_ctclip.models.factory import load_model
from napari_ctclip.pretraining.data.draws import StudyDraws, batches_of
from napari_ctclip.pretraining.loop import TrainingFailed, WeightAverage, rate_at, train
from napari_ctclip.pretraining.objectives.clip import Clip
from napari_ctclip.pretraining.objectives.objective import Setting
from napari_ctclip.pretraining.runs.run_folder import RunFolder
from tests.paths import ROOT
from tests.pretraining.tiny_run import (
    RandomStudies,
    text_folder,
    tiny_assembly,
    tiny_recipe,
    training_of,
)
from tests.pretraining.tiny_training import STEPS


@pytest.fixture
def texts(tmp_path) -> Path:
    return text_folder(tmp_path / "texts")


def start(folder: Path, texts: Path, calibration: str) -> subprocess.Popen:
    script = Path(__file__).with_name("tiny_training.py")
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    return subprocess.Popen(
        [sys.executable, str(script), str(folder), str(texts), calibration],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


def logged_steps(folder: Path) -> list[str]:
    file = folder / "metrics.csv"
    return file.read_text("utf-8").splitlines()[1:] if file.is_file() else []


def signal_after(process: subprocess.Popen, folder: Path, rows: int, number: int) -> None:
    """Send a signal once so many steps are logged, and a moment of chance later."""
    while process.poll() is None and len(logged_steps(folder)) < rows:
        time.sleep(0.005)
    time.sleep(random.uniform(0.0, 0.05))
    process.send_signal(number)


def train_here(method: str, texts: Path, folder: Path, source=None, *, resume=False, **loop):
    recipe = tiny_recipe(method, texts, **loop)
    assembly = tiny_assembly(recipe)
    run = RunFolder(folder)
    train(training_of(recipe, assembly, source), run, resume=resume)
    return assembly


def test_killed_twice_and_resumed_the_weights_are_those_of_a_run_never_killed(tmp_path, texts):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    untouched = start(whole, texts, "co-teaching")
    for rows in (random.randint(1, 5), random.randint(7, STEPS - 2)):
        process = start(killed, texts, "co-teaching")
        signal_after(process, killed, rows, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert start(killed, texts, "co-teaching").wait() == 0
    assert untouched.wait() == 0
    first, second = (
        torch.load(folder / "state.pt", weights_only=True) for folder in (whole, killed)
    )
    assert first["step"] == second["step"] == STEPS
    for name, tensor in first["module"].items():
        assert torch.equal(tensor, second["module"][name]), name
    for number, moments in first["optimizer"]["state"].items():
        for name, tensor in moments.items():
            assert torch.equal(tensor, second["optimizer"]["state"][number][name])
    steps = [row["step"] for row in csv.DictReader((killed / "metrics.csv").open())]
    assert steps == [str(step) for step in range(STEPS)]
    parts = json.loads((killed / "provenance.json").read_text("utf-8"))["parts"]
    assert parts[-1]["step"] > 0
    assert (whole / "model" / "weights.safetensors").read_bytes() == (
        killed / "model" / "weights.safetensors"
    ).read_bytes()


def test_sigterm_saves_the_step_it_was_at_and_says_how_to_go_on(tmp_path, texts):
    folder = tmp_path / "run"
    process = start(folder, texts, "none")
    signal_after(process, folder, 4, signal.SIGTERM)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "continue with --resume" in told
    state = torch.load(folder / "state.pt", weights_only=True)
    assert state["step"] == len(logged_steps(folder)) >= 4


def test_a_loss_that_is_no_number_stops_the_training_and_names_the_studies(tmp_path, texts):
    class Broken(RandomStudies):
        def sample(self, index, rng):
            sample = super().sample(index, rng)
            if index == 3:
                sample.image[:] = np.nan
            return sample

    with pytest.raises(TrainingFailed, match="study-3"):
        train_here("clip", texts, tmp_path / "run", Broken())


def test_an_exploding_loss_stops_the_training(tmp_path, texts):
    class Growing(Clip):
        def start_step(self, module, step):
            self.factor = 100.0**step

        def loss(self, rows):
            return {name: term * self.factor for name, term in super().loss(rows).items()}

    recipe = tiny_recipe("clip", texts)
    assembly = tiny_assembly(recipe)
    grown = replace(assembly, objective=Growing(assembly.objective.options, Setting(())))
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(TrainingFailed, match=r"running mean of .* at step 1 "):
        train(training_of(recipe, grown), folder)


def test_batches_depend_on_seed_and_step_only():
    draws = StudyDraws(RandomStudies(7), 4, seed=5)
    all_steps = list(batches_of(draws, steps=range(5), workers=3))
    late = list(batches_of(draws, steps=range(3, 5), workers=1))
    for one, other in zip(all_steps[3:], late, strict=True):
        assert one.study_ids == other.study_ids
        assert torch.equal(one.images, other.images)
    drawn = [name for batch in all_steps for name in batch.study_ids]
    assert sorted(drawn[:7]) == sorted({*drawn})  # an epoch holds every study once
    halves = [next(batches_of(draws, steps=range(1), rank=rank, world_size=2)) for rank in (0, 1)]
    assert halves[0].study_ids + halves[1].study_ids == all_steps[0].study_ids


def test_a_run_is_not_resumed_with_another_recipe_nor_written_over(tmp_path, texts):
    folder = tmp_path / "run"
    train_here("clip", texts, folder, optimizer={"steps": 2})
    run = RunFolder(folder)
    run.require_same_recipe(tiny_recipe("clip", texts, optimizer={"steps": 9}))
    with pytest.raises(DataError, match="another 'objective'"):
        run.require_same_recipe(tiny_recipe("clip", texts, objective={"x": 1}))
    with pytest.raises(DataError, match="--resume"):
        run.require_startable(tiny_recipe("clip", texts), {"kind": "simulated"}, resume=False)


def test_an_activation_that_is_computed_again_changes_no_weight(tmp_path, texts):
    weights = []
    for again in (False, True):
        folder = tmp_path / str(again)
        train_here("fvlm", texts, folder, dropout=0.2, activation_checkpointing=again)
        weights.append(load_model(folder / "model").state_dict())
    for name, tensor in weights[0].items():
        assert torch.allclose(tensor, weights[1][name], atol=1e-6), name


def test_bf16_trains_and_keeps_weights_in_float32(tmp_path, texts):
    assembly = train_here("fvlm", texts, tmp_path / "run", precision="bf16")
    assert {p.dtype for p in assembly.trained.parameters()} == {torch.float32}


def test_a_run_killed_between_its_state_and_its_model_writes_the_model_on_resuming(tmp_path, texts):
    folder = tmp_path / "run"
    train_here("clip", texts, folder)
    model = (folder / "model" / "weights.safetensors").read_bytes()
    shutil.rmtree(folder / "model")
    train_here("clip", texts, folder, resume=True)
    assert (folder / "model" / "weights.safetensors").read_bytes() == model


def test_the_average_is_what_is_written_and_what_a_resumed_run_continues(tmp_path, texts):
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    average = {"ema": 0.5, "cosine_steps": 6}
    train_here("clip", texts, whole, optimizer=average | {"steps": 6})
    train_here("clip", texts, resumed, optimizer=average | {"steps": 3})
    train_here("clip", texts, resumed, optimizer=average | {"steps": 6}, resume=True)
    states = [torch.load(folder / "state.pt", weights_only=True) for folder in (whole, resumed)]
    for name, tensor in states[0]["average"].items():
        assert torch.equal(tensor, states[1]["average"][name])
    written = load_model(whole / "model").state_dict()
    name = "image_projection.weight"
    assert torch.equal(written[name], states[0]["average"][f"trained.{name}"])
    assert not torch.equal(written[name], states[0]["module"][f"trained.{name}"])


def test_the_average_forgets_its_start_and_then_moves_by_its_decay():
    module = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(module.weight)
    average = WeightAverage(module, 0.9)
    torch.nn.init.ones_(module.weight)
    average.update(module, 0)
    assert average.weights["weight"].item() == pytest.approx(0.9)  # decay 1 / 10
    average.update(module, 1000)
    assert average.weights["weight"].item() == pytest.approx(0.91)


def test_a_state_of_an_earlier_version_is_refused_in_a_line(tmp_path):
    (tmp_path / "training_state.pt").write_bytes(b"")
    with pytest.raises(DataError, match="written by an earlier version"):
        RunFolder(tmp_path).can_resume()


def test_the_rate_of_a_cosine_that_ends_after_the_last_step_stops_on_its_way():
    options = tiny_recipe("clip", Path()).optimizer.model_copy(
        update={"learning_rate": 1.0, "warm_up": 100, "steps": 3150, "cosine_steps": 3600}
    )
    assert rate_at(3150, options) == pytest.approx(0.04, abs=0.005)


def test_the_rate_rises_then_falls_to_its_floor():
    options = tiny_recipe("clip", Path()).optimizer.model_copy(
        update={"learning_rate": 1.0, "warm_up": 10, "steps": 100, "final_share": 0.1}
    )
    rates = [rate_at(step, options) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[100] == pytest.approx(0.1)

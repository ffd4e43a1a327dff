"""A training that is killed, stopped or goes wrong loses nothing that was saved."""

from __future__ import annotations

import csv
import json
import os
import random
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
from napari_ctclip.pretraining.data.data_order import DataOrder, batches_of
from napari_ctclip.pretraining.loop import TrainingFailed, rate_at, train_method
from napari_ctclip.pretraining.objectives.clip import Clip
from napari_ctclip.pretraining.objectives.objective import Setting
from napari_ctclip.pretraining.runs.launching import launch_fabric
from napari_ctclip.pretraining.runs.run_folder import RunFolder
from tests.paths import ROOT
from tests.pretraining.tiny_run import RandomStudies, text_folder, tiny_assembly, tiny_recipe
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
    run.write_recipe(recipe)
    launch = launch_fabric(recipe, assembly.trained)
    train_method(launch, recipe, assembly, source or RandomStudies(), folder=run, resume=resume)
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
    assert "go on with --resume" in told
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
    launch = launch_fabric(recipe, assembly.trained)
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(TrainingFailed, match=r"running mean of .* at step 1 "):
        train_method(launch, recipe, grown, RandomStudies(), folder=folder)


def test_batches_depend_on_seed_and_step_only():
    source, order = RandomStudies(7), DataOrder(7, 4, seed=5)
    all_steps = list(batches_of(source, order, steps=range(5), workers=3))
    late = list(batches_of(source, order, steps=range(3, 5), workers=1))
    for one, other in zip(all_steps[3:], late, strict=True):
        assert one.study_ids == other.study_ids
        assert torch.equal(one.images, other.images)
    drawn = [name for batch in all_steps for name in batch.study_ids]
    assert sorted(drawn[:7]) == sorted({*drawn})  # an epoch holds every study once
    halves = [
        next(batches_of(source, order, steps=range(1), share=(process, 2))) for process in (0, 1)
    ]
    assert halves[0].study_ids + halves[1].study_ids == all_steps[0].study_ids


def test_a_run_is_not_resumed_with_another_recipe_nor_written_over(tmp_path, texts):
    folder = tmp_path / "run"
    train_here("clip", texts, folder, optimizer={"steps": 2})
    run = RunFolder(folder)
    run.require_same_recipe(tiny_recipe("clip", texts, optimizer={"steps": 9}))
    with pytest.raises(DataError, match="another 'objective'"):
        run.require_same_recipe(tiny_recipe("clip", texts, objective={"x": 1}))
    with pytest.raises(DataError, match="--resume"):
        run.require_fresh()


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


def test_the_rate_rises_then_falls_to_its_floor():
    options = tiny_recipe("clip", Path()).optimizer.model_copy(
        update={"learning_rate": 1.0, "warm_up": 10, "steps": 100, "final_share": 0.1}
    )
    rates = [rate_at(step, options) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[100] == pytest.approx(0.1)

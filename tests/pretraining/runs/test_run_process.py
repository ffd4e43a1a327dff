"""A training started as a process of its own: it runs, is stopped with its state kept, or fails."""

from __future__ import annotations

import os
import time

import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.models.factory import load_model
from napari_ctclip.pretraining.runs.run_process import (
    TrainingCommand,
    method_of,
    start_training,
    stop_training,
)
from napari_ctclip.pretraining.runs.run_record import RunReader
from napari_ctclip.pretraining.runs.run_status import RunState, status_of
from napari_ctclip.pretraining.runs.shipped_recipes import recipe_file
from tests.paths import ROOT

SMOKE = recipe_file("clip", smoke=True)


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def wait(process, *, until=lambda: False) -> None:
    deadline = time.monotonic() + 240
    while process.poll() is None and not until():
        if time.monotonic() > deadline:
            process.kill()
            pytest.fail("the training takes too long")
        time.sleep(0.05)


def test_a_started_training_runs_apart_and_is_stopped_with_its_state_kept(tmp_path):
    out = tmp_path / "run"
    overrides = ("loop.snapshot_every=1", "optimizer.steps=4000", "data.simulated_studies=2",
                 "optimizer.batch=2")  # fmt: skip
    process = start_training(TrainingCommand("clip", out, recipe=SMOKE, overrides=overrides))
    with pytest.raises(DataError, match="works on this run already"):
        start_training(TrainingCommand("clip", out, resume=True))
    reader = RunReader(out)
    wait(process, until=lambda: reader.read().done >= 1)
    assert status_of(out).state == RunState.RUNNING
    assert os.getpgid(process.pid) != os.getpgid(0)  # closing the window does not reach it
    stop_training(out)
    wait(process)
    record = reader.read()
    assert record.status.state == RunState.STOPPED
    assert "continue with --resume" in record.status.why
    assert [s.step for s in record.snapshots] == [*range(1, record.done + 1), 0]
    assert load_model(record.snapshots[0].folder).name == "clip-smoke"
    with pytest.raises(DataError, match="holds a run already"):
        start_training(TrainingCommand("clip", out))
    with pytest.raises(DataError, match="no training of this run"):
        stop_training(out)


def test_the_form_becomes_the_words_of_the_command(tmp_path):
    command = TrainingCommand(
        "clip", tmp_path, SMOKE, tmp_path / "set", ("optimizer.steps=9",), resume=True
    )
    assert command.arguments == [
        "clip", "--out", str(tmp_path), "--recipe", str(SMOKE), "--data", str(tmp_path / "set"),
        "--set", "optimizer.steps=9", "--resume",
    ]  # fmt: skip


def test_a_command_that_fails_says_why_in_a_line(tmp_path):
    out = tmp_path / "run"
    wait(start_training(TrainingCommand("clip", out, overrides=("optimizer.stepz=4",))))
    status = RunReader(out).read().status
    assert status.state == RunState.FAILED
    assert "stepz" in status.why


def test_a_folder_that_cannot_be_made_or_has_nothing_to_resume_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be started there"):
        start_training(TrainingCommand("clip", tmp_path / "file" / "run"))
    with pytest.raises(DataError, match="no checkpoint to resume"):
        start_training(TrainingCommand("clip", tmp_path / "new", resume=True))


def test_the_method_of_a_recipe_is_read_or_refused(tmp_path):
    assert method_of(SMOKE) == "clip"
    (tmp_path / "odd.toml").write_text("[model]\n")
    with pytest.raises(DataError, match="names no method"):
        method_of(tmp_path / "odd.toml")
    with pytest.raises(DataError, match="cannot be read as a recipe"):
        method_of(tmp_path / "nowhere.toml")

"""What the folder of a training says, while it grows and after it ended in any way."""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path

import numpy as np
import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.pretraining.runs.run_record import RunReader, snapshot_name, thinned
from napari_ctclip.pretraining.runs.run_status import (
    OUTPUT_FILE,
    STATUS_FILE,
    RunState,
    note_running,
    noted_status,
    process_of,
    status_of,
)

HEADER = "step,loss,image,text,gradient_norm,learning_rate,seconds,waited\n"
GONE = {"pid": 2**22 + 1, "began": 1.0}  # above the largest process number of Linux


def row(step: int, loss: float = 2.0) -> str:
    return f"{step},{loss},1.5,0.5,0.1,0.001,0.25,0.01\n"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "metrics.csv").write_text(HEADER + row(0) + row(1), "utf-8")
    (tmp_path / "recipe.toml").write_text('method = "clip"\n[optimizer]\nsteps = 10\n', "utf-8")
    return tmp_path


def append(run: Path, text: str) -> None:
    with (run / "metrics.csv").open("a", encoding="utf-8") as stream:
        stream.write(text)


def test_a_folder_that_is_none_or_no_run_is_refused_in_one_line(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        RunReader(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"is no run: expected one of metrics\.csv"):
        RunReader(tmp_path)


def test_the_record_holds_every_column_and_what_the_recipe_says(run):
    record = RunReader(run).read()
    assert (record.method, record.steps, record.done) == ("clip", 10, 2)
    assert record.terms == ("loss", "image", "text")
    assert record.metrics["learning_rate"].tolist() == [0.001, 0.001]
    assert record.recent_seconds == 0.25
    assert record.remaining_s == pytest.approx(2.0)


def test_a_line_is_taken_in_once_it_is_whole(run):
    reader = RunReader(run)
    assert reader.read().done == 2
    append(run, row(2)[:9])
    assert reader.read().done == 2
    append(run, row(2)[9:] + row(3))
    assert reader.read().metrics["step"].tolist() == [0, 1, 2, 3]


def test_lines_that_are_no_steps_are_left_out_and_a_cell_that_is_no_number_is_nan(run):
    append(run, "garbage\n2,3\n" + row(2).replace("1.5", "") + row(3).replace("0.5", "nan"))
    metrics = RunReader(run).read().metrics
    assert metrics["step"].tolist() == [0, 1, 2, 3]
    assert math.isnan(metrics["image"][2])
    assert math.isnan(metrics["text"][3])


def test_a_resumed_run_that_took_rows_back_is_read_anew(run):
    reader = RunReader(run)
    append(run, row(2, 9.0) + row(3, 9.0))
    assert reader.read().done == 4
    part = run / "metrics.csv.part"  # what run_log does on resuming at step 2
    part.write_text(HEADER + row(0) + row(1) + row(2, 1.0) + row(3, 1.0) + row(4, 1.0), "utf-8")
    part.replace(run / "metrics.csv")
    assert reader.read().metrics["loss"].tolist() == [2.0, 2.0, 1.0, 1.0, 1.0]


def test_a_run_before_its_first_step_has_no_steps(run):
    (run / "metrics.csv").unlink()
    record = RunReader(run).read()
    assert record.done == 0
    assert math.isnan(record.recent_seconds)
    assert record.terms == ("loss",)


def test_elapsed_time_becomes_seconds_a_step_and_a_resumed_clock_no_negative_one(tmp_path):
    rows = "step,loss,elapsed\n0,1,2.0\n1,1,5.0\n2,1,1.0\n3,1,4.0\n"
    (tmp_path / "metrics.csv").write_text(rows, "utf-8")
    assert RunReader(tmp_path).read().step_seconds[[1, 3]].tolist() == [3.0, 3.0]
    assert RunReader(tmp_path).read().recent_seconds == 3.0


def test_snapshots_come_in_the_order_of_their_steps_and_the_newest_model_last(run):
    for name in (snapshot_name(200), snapshot_name(30), f"{snapshot_name(40)}.part"):
        (run / "snapshots" / name).mkdir(parents=True)
    (run / "model").mkdir()
    snapshots = RunReader(run).read().snapshots
    assert [s.step for s in snapshots] == [30, 200, 0]
    assert snapshots[-1].folder == run / "model"


def test_a_run_of_before_there_were_status_files_is_finished_by_its_steps(run):
    assert RunReader(run).read().status.state == RunState.UNKNOWN
    append(run, "".join(row(step) for step in range(2, 10)))
    assert RunReader(run).read().status.state == RunState.FINISHED


def test_the_status_says_running_then_finished(tmp_path):
    with noted_status(tmp_path):
        assert status_of(tmp_path).state == RunState.RUNNING
        assert process_of(tmp_path).pid == os.getpid()
    assert status_of(tmp_path).state == RunState.FINISHED
    assert process_of(tmp_path) is None


@pytest.mark.parametrize(
    ("error", "state", "why"),
    [
        (DataError("the scan is cut"), RunState.FAILED, "the scan is cut"),
        (ValueError("odd"), RunState.FAILED, "ValueError: odd"),
        (KeyboardInterrupt(), RunState.STOPPED, "KeyboardInterrupt"),
    ],
)
def test_the_status_says_why_a_run_ended(tmp_path, error, state, why):
    with pytest.raises(type(error)), noted_status(tmp_path):
        raise error
    assert status_of(tmp_path) == type(status_of(tmp_path))(state, why)


def test_a_process_that_is_gone_is_told_with_what_it_printed_last(tmp_path):
    note_running(tmp_path, GONE["pid"])
    assert status_of(tmp_path).state == RunState.LOST
    (tmp_path / OUTPUT_FILE).write_text("12:00 begin\nKilled\n", "utf-8")
    assert status_of(tmp_path).why.endswith("12:00 begin Killed")
    (tmp_path / OUTPUT_FILE).write_text("error: no key 'stepz' in [optimizer]\n", "utf-8")
    assert status_of(tmp_path).state == RunState.FAILED
    assert status_of(tmp_path).why == "no key 'stepz' in [optimizer]"


def test_a_run_of_another_computer_runs_while_it_writes(tmp_path):
    elsewhere = {"state": "RUNNING", "process": GONE | {"boot": 5.0}}
    (tmp_path / STATUS_FILE).write_text(json.dumps(elsewhere), "utf-8")
    assert status_of(tmp_path).state == RunState.RUNNING
    assert "cannot be seen" in status_of(tmp_path).why
    long_ago = time.time() - 3600
    os.utime(tmp_path / STATUS_FILE, (long_ago, long_ago))
    assert status_of(tmp_path).state == RunState.LOST


def test_a_process_number_used_again_is_not_taken_for_the_training(tmp_path):
    note_running(tmp_path, os.getpid())
    noted = json.loads((tmp_path / STATUS_FILE).read_text("utf-8"))
    noted["process"]["began"] -= 1000
    (tmp_path / STATUS_FILE).write_text(json.dumps(noted), "utf-8")
    assert process_of(tmp_path) is None
    assert status_of(tmp_path).state == RunState.LOST


def test_a_half_written_status_is_not_known(tmp_path):
    (tmp_path / STATUS_FILE).write_text('{"state": "RUN', "utf-8")
    assert status_of(tmp_path).state == RunState.UNKNOWN


def test_a_thinned_curve_keeps_its_mean_and_leaves_gaps_out():
    x, y = np.arange(1000.0), np.sin(np.arange(1000.0))
    thin_x, thin_y = thinned(x, y, most=100)
    assert len(thin_x) == 100
    assert thin_y.mean() == pytest.approx(y.mean())
    y[::2] = np.nan
    assert np.isfinite(thinned(x, y, most=2000)[1]).all()
    assert len(thinned(x, np.full(1000, np.nan), most=10)[0]) == 0

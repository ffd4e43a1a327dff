"""The training monitor: curves of a run that grows, its models on the CT, its errors in a line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.plugin.shell.docks import TrainingWidget
from napari_ctclip.pretraining.runs.run_record import RunReader, snapshot_name
from napari_ctclip.pretraining.runs.run_status import noted_status
from napari_ctclip.session.session import Session

WAIT_MS = 20_000
HEADER = "step,loss,image,text,learning_rate,seconds\n"
RECIPE = 'method = "clip"\n[model]\nsuggested_prompts = ["ball"]\n[optimizer]\nsteps = 40\n'


def rows(first: int, last: int) -> str:
    return "".join(f"{s},{4 / (s + 1)},{3 / (s + 1)},1,0.001,0.5\n" for s in range(first, last))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    (folder / "snapshots" / snapshot_name(10)).mkdir(parents=True)
    (folder / "model").mkdir()
    (folder / "metrics.csv").write_text(HEADER + rows(0, 20), "utf-8")
    (folder / "recipe.toml").write_text(RECIPE, "utf-8")
    return folder


@pytest.fixture
def dock(desk) -> TrainingWidget:
    dock = TrainingWidget(desk.viewer)
    desk.viewer.window.add_dock_widget(dock, name="CT-CLIP training")
    return dock


def watch(dock: TrainingWidget, run: Path, qtbot, *, done: int) -> None:
    if dock.record is None or dock.record.folder != run:
        dock.watch(run)
    qtbot.waitUntil(lambda: dock.record is not None and dock.record.done == done, timeout=WAIT_MS)


def test_a_run_is_drawn_and_its_new_steps_follow(dock, run, qtbot):
    with noted_status(run):
        watch(dock, run, qtbot, done=20)
        assert dock.state.text().startswith("▶ Running: clip step 20 of 40, 0.5 s a step, about 10")
        with (run / "metrics.csv").open("a") as stream:
            stream.write(rows(20, 30))
        watch(dock, run, qtbot, done=30)
    dock.curves.draw()
    loss, rate, speed = dock.curves.figure.axes
    assert [line.get_label() for line in loss.lines] == ["loss", "image", "text"]
    np.testing.assert_allclose(loss.lines[0].get_ydata(), 4 / (np.arange(30) + 1))
    assert len(rate.lines) == len(speed.lines) == 1
    dock.log.setChecked(True)
    dock.curves.draw()
    assert dock.curves.figure.axes[0].get_yscale() == "log"
    qtbot.waitUntil(lambda: dock.state.text().startswith("✔ Finished"), timeout=WAIT_MS)


def test_why_a_run_failed_is_told(dock, run, qtbot):
    with pytest.raises(DataError), noted_status(run):
        raise DataError("the loss is no finite number at step 20")
    watch(dock, run, qtbot, done=20)
    assert dock.state.text().startswith("✖ Failed")
    assert dock.state.text().endswith("the loss is no finite number at step 20")


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_a_folder_that_holds_no_run_is_one_line(dock, desk, tmp_path, name):
    dock.folder.setText(str(tmp_path / name))
    dock.folder.returnPressed.emit()
    assert "Traceback" not in desk.status
    assert ("no such folder" if name == "nowhere" else "is no run") in desk.status


def test_one_click_shows_a_model_of_the_run_on_the_open_ct(dock, run, desk, qtbot, monkeypatch):
    asked = []
    monkeypatch.setattr(
        Session, "compute_model", lambda self, name="starter": asked.append(name) or desk.model
    )
    watch(dock, run, qtbot, done=20)
    dock.show_snapshot.click()
    assert "no CT is open" in desk.status
    desk.open()
    dock.snapshots.setCurrentIndex(0)
    dock.show_snapshot.click()
    desk.wait()
    assert asked == [str(run / "snapshots" / snapshot_name(10))]
    assert desk.heat("ball").visible  # the run's own prompt: none was typed
    assert dock.shown.text() == "On the CT: model after step 10."
    dock.snapshots.setCurrentIndex(1)
    dock.show_snapshot.click()
    desk.wait()
    assert asked[1] == str(run / "model")
    assert [row.prompt.positive for row in desk.bench.prompts.state.rows] == ["ball"]


def test_a_run_taken_away_is_told_and_watched_no_longer(dock, run, desk, qtbot):
    watch(dock, run, qtbot, done=20)
    run.rename(run.with_name("moved"))
    qtbot.waitUntil(lambda: "the folder of the run is gone" in desk.status, timeout=WAIT_MS)
    assert not dock.reading.is_watching


def test_the_form_refuses_what_is_no_command(dock, desk, tmp_path):
    dock.start.start.click()
    assert "Give the folder of the run" in desk.status
    dock.start.out.setText(str(tmp_path / "new"))
    dock.start.overrides.setPlainText("optimizer.steps=5\nsteps 7")
    dock.start.start.click()
    assert "expected table.key=value, got 'steps 7'" in desk.status
    dock.start.overrides.setPlainText("optimizer.steps=5\n\n")
    dock.start.recipe.setCurrentIndex(1)
    command = dock.start.command()
    assert (command.method, command.overrides) == ("clip", ("optimizer.steps=5",))
    assert command.recipe is not None
    assert command.recipe.name == "smoke.toml"


def test_start_stop_and_resume_act_on_the_run_that_is_shown(dock, run, desk, qtbot, monkeypatch):
    started, stopped = [], []
    module = "napari_ctclip.plugin.training.training_start"
    monkeypatch.setattr(f"{module}.start_training", started.append)
    monkeypatch.setattr(f"{module}.stop_training", stopped.append)
    with noted_status(run):
        watch(dock, run, qtbot, done=20)
        assert dock.start.stop.isEnabled()
        assert not dock.start.resume.isEnabled()
        dock.start.stop.click()
    assert stopped == [run]
    (run / "state.pt").write_bytes(b"")
    dock.start.overrides.setPlainText("optimizer.steps=80")
    qtbot.waitUntil(dock.start.resume.isEnabled, timeout=WAIT_MS)
    dock.start.resume.click()
    assert started[0].arguments == [
        "clip", "--out", str(run), "--recipe", str(run / "recipe.toml"),
        "--set", "optimizer.steps=80", "--resume",
    ]  # fmt: skip
    assert RunReader(run).read().done == 20

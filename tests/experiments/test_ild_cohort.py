"""A simulated ILD cohort is files that the readers and the evaluation take."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.evaluation.study_source import FileStudy
from napari_ctclip.evaluation.task_files import read_tasks
from napari_ctclip.experiments.ild_cohort import write_ild_cohort
from napari_ctclip.io.store.manifest import read_manifest
from napari_ctclip.models.factory import load_model
from napari_ctclip.pretraining.building import assemble
from napari_ctclip.pretraining.recipe_files import load_recipe
from napari_ctclip.simulation.ild_patterns import ILD_SPACING_MM
from napari_ctclip.simulation.ild_reports import PATTERNS
from tests.paths import ROOT


def test_cohort_has_scans_masks_reports_and_labels_and_goes_on_after_a_stop(tmp_path: Path) -> None:
    coarse = (16.0, 5.0, 5.0)
    write_ild_cohort(tmp_path, train=1, test=1, seed=4, spacing_mm=coarse)
    made = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.nii.gz")}
    assert len(made) == 4
    told: list[tuple[int, int]] = []
    manifest = write_ild_cohort(
        tmp_path, train=1, test=2, seed=4, spacing_mm=coarse, progress=lambda *n: told.append(n)
    )
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert all(path.stat().st_mtime_ns == when for path, when in made.items())
    entries = read_manifest(manifest).entries
    assert [entry.split for entry in entries] == ["train", "test", "test"]
    for entry, pattern in zip(entries, PATTERNS, strict=False):
        assert [name for name, there in entry.labels.items() if there] == [pattern]
        assert entry.organ_normal == {"lung": pattern == "Normal"}
        assert entry.findings in entry.organ_sentences["lung"]
    assert set(entries[0].labels) == set(read_tasks("simulated_ild").labels)
    loaded = FileStudy(entries[0]).load(quick_masks=False)
    study, notices = loaded.study, loaded.notices
    assert study.organ_masks.labels_of("lung")
    assert study.volume.geometry.spacing_mm == coarse
    assert not [notice for notice in notices if notice.severity.name == "WARNING"], notices


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="processes are found in /proc")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_a_command_that_is_ended(tmp_path: Path, how: signal.Signals) -> None:
    command = "from napari_ctclip.cli.train import app; app()"
    arguments = ["simulate-ild", str(tmp_path), "--train", "9", "--workers", "2"]
    running = subprocess.Popen([sys.executable, "-c", command, *arguments])
    try:
        workers = _wait_for(lambda: _workers_of(running.pid), count=2)
        running.send_signal(how)
        running.wait(30)
        _wait_for(lambda: [pid for pid in workers if _lives(pid)], count=0)
    finally:
        running.kill()
        running.wait(30)


def _workers_of(pid: int) -> list[int]:
    """Return the pool's processes among the children of a process."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(c) for c in children if "spawn_main" in Path(f"/proc/{c}/cmdline").read_text()]


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _wait_for(found: Callable[[], list[int]], *, count: int) -> list[int]:
    end = time.monotonic() + 60
    while len(now := found()) != count:
        assert time.monotonic() < end, f"expected {count} processes, got {now}"
        time.sleep(0.1)
    return now


def test_tutorial_recipe_shows_the_bundled_model_what_it_was_trained_on() -> None:
    recipe = load_recipe(ROOT / "training" / "clip_ild_dapt" / "tutorial.toml")
    start = load_model(recipe.model.start)
    assert recipe.preprocessing.windows_hu == start.preprocessing.windows_hu
    assert recipe.data.crop == (1, *start.image_size)
    assert recipe.data.crop[1] % recipe.data.tiles == 0
    assert recipe.preprocessing.spacing_mm == ILD_SPACING_MM


def test_2d_recipe_starts_from_the_bundled_model_and_from_no_model_of_volumes() -> None:
    file = ROOT / "training" / "clip_ild_dapt" / "tutorial.toml"
    trained = assemble(load_recipe(file)).trained
    start = load_model("starter-2d")
    assert trained.weights_hash() == start.weights_hash()
    assert all(p.requires_grad for p in trained.clip.visual.parameters())
    with pytest.raises(DataError, match="no 2D CLIP"):
        assemble(load_recipe(file, overrides=["model.start=starter"]))

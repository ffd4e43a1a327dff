"""TotalSegmentator as a separate process: a stand-in program on PATH plays its part."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from napari_ctclip.core.errors import Cancelled, CtClipError
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.volume import Volume
from napari_ctclip.segmentation import totalsegmentator
from napari_ctclip.segmentation.totalsegmentator import is_installed, segment_with_totalsegmentator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a Unix script")

COPIES_THE_SCAN = """
import shutil
print("Predicting", arguments["-i"] != "", flush=True)
print(" ".join(sys.argv[1:]), flush=True)
shutil.copy(arguments["-i"], arguments["-o"])
"""
FAILS = 'print("CUDA out of memory", flush=True); sys.exit(3)'
WRITES_NOTHING = 'print("done", flush=True)'
IS_SLOW = 'import time; print("started", flush=True); time.sleep(60)'
IS_SLOW_AND_STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + IS_SLOW


@pytest.fixture
def volume() -> Volume:
    voxels = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    return Volume(voxels, Geometry.from_spacing((2, 3, 4), (3.0, 1.5, 1.5), origin_ras=(9, 8, 7)))


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders go in this test; PATH holds nothing but the stand-in."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    (tmp_path / "bin").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(totalsegmentator.sys, "executable", str(tmp_path / "nowhere" / "python"))
    return temporary


def install(folders: Path, body: str) -> None:
    """Put a program named TotalSegmentator on PATH."""
    start = f"#!{sys.exec_prefix}/bin/python\nimport sys\n"
    read = "arguments = dict(zip(sys.argv[1:], sys.argv[2:]))\n"
    program = folders.parent / "bin" / "TotalSegmentator"
    program.write_text(start + read + body + "\n")
    program.chmod(0o755)


def test_masks_lie_on_the_grid_of_the_volume_with_its_names(folders: Path, volume: Volume) -> None:
    install(folders, COPIES_THE_SCAN)
    lines: list[str] = []
    masks = segment_with_totalsegmentator(volume, fast=True, device="cpu", progress=lines.append)
    assert masks.source == "TotalSegmentator"
    assert masks.geometry.coincides_with(volume.geometry)
    np.testing.assert_array_equal(masks.labels, volume.voxels)
    assert masks.legend["spleen"] == 1
    assert not list(folders.iterdir())
    assert lines[0] == "Predicting True"
    assert lines[1].endswith("--ml --task total --fast --device cpu")


def test_failure_shows_the_end_of_its_log(folders: Path, volume: Volume) -> None:
    install(folders, FAILS)
    with pytest.raises(CtClipError, match=r"code 3[\s\S]*CUDA out of memory"):
        segment_with_totalsegmentator(volume)
    assert not list(folders.iterdir())


def test_missing_label_map_is_an_error(folders: Path, volume: Volume) -> None:
    install(folders, WRITES_NOTHING)
    with pytest.raises(CtClipError, match="label map"):
        segment_with_totalsegmentator(volume)


@pytest.mark.parametrize("body", [IS_SLOW, IS_SLOW_AND_STUBBORN])
def test_stopping_ends_the_process_and_leaves_no_files(
    folders: Path, volume: Volume, body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(totalsegmentator, "_PATIENCE_S", 0.5)
    install(folders, body)
    seen: list[str] = []
    start = time.monotonic()
    with pytest.raises(Cancelled):
        segment_with_totalsegmentator(volume, progress=seen.append, should_stop=lambda: bool(seen))
    assert time.monotonic() - start < 20
    assert not list(folders.iterdir())


def test_absent_program_is_named_with_its_extra(folders: Path, volume: Volume) -> None:
    with pytest.raises(CtClipError, match=r"napari-ctclip\[segment\]"):
        segment_with_totalsegmentator(volume)


def test_program_on_the_path_counts_as_installed(folders: Path) -> None:
    install(folders, WRITES_NOTHING)
    assert is_installed()

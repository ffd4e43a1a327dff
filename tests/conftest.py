"""Fixtures that every test may use."""

from __future__ import annotations

import gc
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paths import SHARED

if "PYTEST_XDIST_WORKER" in os.environ:
    # the other worker has the other core; read by torch when it is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")

_TESTS = Path(__file__).parent
WINDOW_TESTS = _TESTS / "plugin"
SLOW_TESTS = tuple(
    _TESTS / name
    for name in (
        "cli",
        "evaluation",
        "experiments",
        "exporting",
        "models/folder",
        "models/published",
        "models/test_starter.py",
        "models/test_starter_start_up.py",
        "preparation",
        "pretraining",
        "segmentation",
        "simulation",
        "test_benchmarks.py",
        "test_documentation.py",
        "test_real_disks.py",
        "test_real_patches.py",
        "test_real_scans.py",
        "test_repository.py",
    )
)
"""Where most tests train, simulate studies, start processes or read real scans."""

# before anything imports napari: its settings are neither read from nor written to the user's files
os.environ["NAPARI_CONFIG"] = ""

SHARED_DATA = SHARED / "data"
_DISK_KIB = 512


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real CT scans; tests that need it skip where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real CT scans are not at {SHARED_DATA}")
    return SHARED_DATA


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give all tests of the window to one worker: they share the display and its focus.

    Those in a slow folder are marked so.
    """
    for item in items:
        if item.path.is_relative_to(WINDOW_TESTS):
            item.add_marker(pytest.mark.xdist_group("window"))
        if any(item.path.is_relative_to(path) for path in SLOW_TESTS):
            item.add_marker(pytest.mark.slow)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import slow tests where ``-m`` leaves them out: that takes half a minute."""
    return True if "not slow" in config.option.markexpr and collection_path in SLOW_TESTS else None


@pytest.fixture(scope="session", autouse=True)
def libraries_left_to_themselves() -> Iterator[None]:
    """Spare the garbage collector what was imported: it is walked hundreds of times otherwise."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


class SmallDisk:
    """A file system of its own that can really be full or read-only.

    Parameters
    ----------
    path : Path
        Where it is mounted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self) -> None:
        """Leave no byte."""
        with (self.path / "filler").open("ab", buffering=0) as file:
            for size in (4096, 1):
                try:
                    while file.write(b"0" * size):
                        pass
                except OSError:
                    continue

    def empty(self) -> None:
        """Give back what filled it."""
        (self.path / "filler").unlink()

    def set_writable(self, writable: bool) -> None:
        """Let it be written to, or not even by root."""
        how = "remount,rw" if writable else "remount,ro"
        subprocess.run(["mount", "-o", how, str(self.path)], check=True, capture_output=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A mounted file system of half a MiB; skips where none may be mounted."""
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_KIB}k", "tmpfs", str(path)]
    try:
        mounted = subprocess.run(command, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command, so no disk can be filled or made read-only")
    if mounted.returncode:
        pytest.skip(f"no file system may be mounted here: {mounted.stderr.strip()}")
    yield SmallDisk(path)
    subprocess.run(["umount", "-l", str(path)], check=True, capture_output=True)

"""Fixtures that every test may use."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # the other worker has the other core; read by torch when it is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")

WINDOW_TESTS = Path(__file__).parent / "plugin"
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real CT scans; tests that need it skip where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real CT scans are not at {SHARED_DATA}")
    return SHARED_DATA


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give all tests of the window to one worker: they share the display and its focus."""
    for item in items:
        if item.path.is_relative_to(WINDOW_TESTS):
            item.add_marker(pytest.mark.xdist_group("window"))


@pytest.fixture(scope="session", autouse=True)
def libraries_left_to_themselves() -> Iterator[None]:
    """Spare the garbage collector what was imported: it is walked hundreds of times otherwise."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()

"""Memory that was freed is used again inside, and given back at the end."""

from __future__ import annotations

import resource
import sys

import numpy as np
import psutil
import pytest

from napari_ctclip.models.runtime.freed_memory import _libc, reuse_freed_memory

pytestmark = pytest.mark.skipif(_libc() is None, reason="only glibc has these options")

_BYTES = 128 << 20


def _faults() -> int:
    """Return how many pages the system had to find for a block that is written and freed."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = np.ones(_BYTES, dtype=np.uint8)
    assert block[-1] == 1
    del block
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_a_second_block_finds_the_pages_of_the_first() -> None:
    usual = _faults()
    with reuse_freed_memory():
        first = _faults()
        assert _faults() < first / 10
        with reuse_freed_memory():
            assert _faults() < first / 10
        assert _faults() < first / 10, "an inner end is not the end"
    assert _faults() > usual / 2


def test_it_is_given_back_at_the_end() -> None:
    process = psutil.Process()
    before = process.memory_info().rss
    with reuse_freed_memory():
        _faults()
        assert process.memory_info().rss > before + _BYTES // 2
    assert process.memory_info().rss < before + _BYTES // 2


def test_another_platform_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    _libc.cache_clear()
    try:
        assert _libc() is None
        with reuse_freed_memory():
            pass
    finally:
        _libc.cache_clear()

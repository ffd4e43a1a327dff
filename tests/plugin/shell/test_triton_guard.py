"""Triton stays out of a process whose window Mesa draws, and only there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from napari_ctclip.plugin.shell import triton_guard


@pytest.fixture
def without_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "triton", raising=False)


def _maps(path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (path / "maps").write_text(text)
    monkeypatch.setattr(triton_guard, "_MAPS", path / "maps")


@pytest.mark.usefixtures("without_triton")
def test_triton_cannot_be_imported_beside_mesas_llvm(tmp_path, monkeypatch) -> None:
    _maps(tmp_path, monkeypatch, "7f00 r-xp 0 00:00 0 /usr/lib/x86_64-linux-gnu/libLLVM-15.so.1\n")
    triton_guard.keep_triton_out()
    with pytest.raises(ImportError):
        import triton  # noqa: F401
    monkeypatch.delitem(sys.modules, "triton")


@pytest.mark.usefixtures("without_triton")
def test_triton_is_left_alone_where_opengl_comes_from_elsewhere(tmp_path, monkeypatch) -> None:
    _maps(tmp_path, monkeypatch, "7f00 r-xp 0 00:00 0 /usr/lib/libGLX_nvidia.so.0\n")
    triton_guard.keep_triton_out()
    assert "triton" not in sys.modules


def test_a_triton_that_is_loaded_already_stays(tmp_path, monkeypatch) -> None:
    loaded = object()
    monkeypatch.setitem(sys.modules, "triton", loaded)
    _maps(tmp_path, monkeypatch, "/usr/lib/libLLVM.so\n")
    triton_guard.keep_triton_out()
    assert sys.modules["triton"] is loaded

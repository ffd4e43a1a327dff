from __future__ import annotations

import os
from pathlib import Path

import torch

from napari_ctclip.encoding.feature_cache import FeatureCache, cache_key
from napari_ctclip.models.interface import FeatureMap


def _features(value: float = 0.5) -> FeatureMap:
    return FeatureMap((torch.full((1, 2, 3, 4, 5), value), torch.full((1, 4, 1, 2, 2), value)))


def test_entry_comes_back_level_by_level(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    assert cache.store("a", _features()) == ()
    found, notices = cache.load("a")
    assert notices == ()
    assert found is not None
    assert [level.shape for level in found.levels] == [level.shape for level in _features().levels]
    assert torch.equal(found.levels[0], _features().levels[0])


def test_values_too_large_for_half_precision_come_back_as_they_were(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    cache.store("a", _features(2.0e5))
    found, _ = cache.load("a")
    assert found is not None
    assert torch.equal(found.levels[0], _features(2.0e5).levels[0])


def test_damaged_entry_is_removed_and_said_so(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    cache.store("a", _features())
    path = next(tmp_path.glob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:40])
    found, notices = cache.load("a")
    assert found is None
    assert [n.code for n in notices] == ["damaged-cache-entry"]
    assert not path.exists()


def test_oldest_entries_go_beyond_the_size_limit_but_never_the_newest(tmp_path: Path) -> None:
    entry = FeatureCache(tmp_path)
    entry.store("a", _features())
    size = entry.size_bytes()
    cache = FeatureCache(tmp_path, limit_bytes=2 * size)
    cache.store("b", _features())
    os.utime(tmp_path / "a.safetensors", (1, 1))
    cache.store("c", _features())
    assert {p.stem for p in tmp_path.glob("*")} == {"b", "c"}


def test_unwritable_folder_is_a_notice_not_an_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    (notice,) = FeatureCache(blocked / "cache").store("a", _features())
    assert notice.code == "cache-not-written"


def test_key_changes_with_scan_weights_and_preprocessing() -> None:
    keys = {cache_key("v", "w", "p"), cache_key("x", "w", "p"), cache_key("v", "x", "p")}
    assert len(keys | {cache_key("v", "w", "x")}) == 4

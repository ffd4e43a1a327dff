"""Feature cache: encoded scans on disk, keyed by what they were made from."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_cache_path

from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.io.files import replacing
from napari_ctclip.models.interface import FeatureMap

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["FeatureCache", "as_cached", "cache_key", "default_cache_folder"]

_LOG = logging.getLogger(__name__)
_DEFAULT_LIMIT_BYTES = 10 * 2**30
_SCHEMA = "1"


def default_cache_folder() -> Path:
    """Return where features are cached: ``NAPARI_CTCLIP_CACHE`` or the user's cache folder."""
    chosen = os.environ.get("NAPARI_CTCLIP_CACHE")
    return Path(chosen) if chosen else user_cache_path("napari-ctclip") / "features"


def cache_key(volume_hash: str, weights_hash: str, preprocessing_hash: str) -> str:
    """Return the name of an entry, from the hashes of scan, weights and preprocessing."""
    parts = "\n".join((_SCHEMA, volume_hash, weights_hash, preprocessing_hash))
    return hashlib.sha256(parts.encode()).hexdigest()


def as_cached(features: FeatureMap) -> FeatureMap:
    """Return features rounded as the cache rounds them, so that cached ones answer the same."""
    return FeatureMap(tuple(_stored(level).float() for level in features.levels))


class FeatureCache:
    """Feature maps in a folder, the longest unused ones removed beyond a size limit.

    Parameters
    ----------
    folder : Path or None
        The folder of the entries; the user's cache folder if None.
    limit_bytes : int
        The size above which old entries are removed; 0 stores nothing.
    """

    def __init__(
        self, folder: Path | None = None, *, limit_bytes: int = _DEFAULT_LIMIT_BYTES
    ) -> None:
        self.folder = folder or default_cache_folder()
        self.limit_bytes = limit_bytes

    def load(self, key: str) -> tuple[FeatureMap | None, tuple[Notice, ...]]:
        """Return the entry, or None; a damaged one is removed, and a notice says so."""
        from safetensors import SafetensorError, safe_open

        path = self._path(key)
        if not path.is_file():
            return None, ()
        try:
            with safe_open(path, framework="pt") as file:
                names = sorted(file.keys())
                levels = tuple(file.get_tensor(name).float() for name in names)
        except (SafetensorError, OSError, ValueError) as error:
            _LOG.warning("damaged cache entry %s: %s", path, error)
            path.unlink(missing_ok=True)
            return None, (
                Notice(
                    Severity.WARNING,
                    "damaged-cache-entry",
                    "a cached encoding of this scan was damaged; it is computed again",
                    str(path),
                ),
            )
        os.utime(path)
        return FeatureMap(levels), ()

    def store(self, key: str, features: FeatureMap) -> tuple[Notice, ...]:
        """Store an entry whole or not at all; a full or read-only disk is only a notice."""
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        if self.limit_bytes <= 0:
            return ()
        tensors = {
            f"level_{i}": _stored(level.detach()).cpu().contiguous()
            for i, level in enumerate(features.levels)
        }
        try:
            with replacing(self._path(key)) as partial:
                save_file(tensors, partial)
            self._evict(keep=key)
        except (OSError, SafetensorError) as error:
            return (
                Notice(
                    Severity.WARNING,
                    "cache-not-written",
                    f"the encoding could not be stored for next time: {error}",
                    str(self.folder),
                ),
            )
        return ()

    def size_bytes(self) -> int:
        """Return the size of all entries."""
        return sum(path.stat().st_size for path in self._entries())

    def clear(self) -> None:
        """Remove every entry."""
        for path in self._entries():
            path.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"

    def _entries(self) -> list[Path]:
        return list(self.folder.glob("*.safetensors")) if self.folder.is_dir() else []

    def _evict(self, *, keep: str) -> None:
        newest_first = sorted(self._entries(), key=lambda p: p.stat().st_mtime, reverse=True)
        total = 0
        for path in newest_first:
            total += path.stat().st_size
            if total > self.limit_bytes and path != self._path(keep):
                path.unlink(missing_ok=True)


def _stored(level: Tensor) -> Tensor:
    """Return a level in half the bytes where its values allow: beyond 65,504 they would be inf."""
    half = level.half()
    return half if bool(half.isfinite().all()) else level.float()

"""Estimate: time and disk of a preparation, from a few of its studies."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_ctclip.io.store.manifest_entry import ManifestEntry
from napari_ctclip.io.store.study_store import StudyStore
from napari_ctclip.preparation.study_preparation import prepare_study

__all__ = ["Estimate", "estimate_preparation", "sample_of", "stored_bytes"]

_SAMPLED = 3


@dataclass(frozen=True)
class Estimate:
    """What the studies that are left will take.

    Attributes
    ----------
    studies : int
        Left.
    sampled : int
        Of which were measured; 0 where none of them could be prepared.
    seconds, disk_bytes : float
        For all that are left.
    """

    studies: int
    sampled: int
    seconds: float
    disk_bytes: float


def sample_of(entries: Sequence[ManifestEntry]) -> list[ManifestEntry]:
    """Return a few studies spread evenly over a list."""
    count = min(_SAMPLED, len(entries))
    return [entries[(2 * n + 1) * len(entries) // (2 * count)] for n in range(count)]


def estimate_preparation(
    entries: Sequence[ManifestEntry], store: StudyStore, *, workers: int
) -> Estimate:
    """Prepare a sample of the studies into the store and return what all of them will take."""
    import zarr  # noqa: F401 - half a second that is not the first study's

    seconds, sizes = [], []
    for entry in sample_of(entries):
        start = time.perf_counter()
        if prepare_study(entry, store.folder) is None:
            seconds.append(time.perf_counter() - start)
            sizes.append(stored_bytes(store.folder_of(entry.study_id)))
    if not sizes:
        return Estimate(len(entries), 0, 0.0, 0.0)
    share = len(entries) / len(sizes)
    return Estimate(len(entries), len(sizes), sum(seconds) * share / workers, sum(sizes) * share)


def stored_bytes(folder: Path) -> int:
    """Return the bytes of the files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

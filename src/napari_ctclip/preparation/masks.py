"""Organ masks of a study: from its file, from TotalSegmentator, or from CT numbers alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_ctclip.core.anatomy_table import AnatomyTable
from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.notice import Notice
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.volume import Volume
from napari_ctclip.io.masks.organ_mask_files import read_organ_masks
from napari_ctclip.io.store.manifest_entry import ManifestEntry
from napari_ctclip.segmentation.quick_masks import quick_organ_masks
from napari_ctclip.segmentation.totalsegmentator import is_installed, segment_with_totalsegmentator

__all__ = ["MASK_CHOICES", "find_masks", "join_masks", "require_choice"]

MASK_CHOICES = ("auto", "file", "totalsegmentator", "quick", "none")
"""``auto``: the file where there is one, else TotalSegmentator where installed, else quick."""


def find_masks(
    entry: ManifestEntry, volume: Volume, *, choice: str
) -> tuple[OrganMasks, str, tuple[Notice, ...]]:
    """Return the masks of a study on its CT's grid, where they come from, and notices.

    ``"file"`` needs a study that names its label map.

    Raises
    ------
    DataError
        If the file cannot be used; see :func:`read_organ_masks`.
    CtClipError
        If TotalSegmentator fails.
    """
    if choice in ("auto", "file") and entry.masks is not None:
        legend = entry.legend
        read = read_organ_masks(
            entry.masks, volume, legend=Path(legend) if legend and Path(legend).suffix else legend
        )
        return read.masks, "file", read.notices
    assert choice != "file"
    if choice == "totalsegmentator" or (choice == "auto" and is_installed()):
        return segment_with_totalsegmentator(volume), "TotalSegmentator", ()
    return quick_organ_masks(volume), "quick", ()


def join_masks(masks: OrganMasks, table: AnatomyTable) -> OrganMasks:
    """Return the masks with one label an anatomy: 1, 2, ... in the order of the table."""
    numbers = {anatomy: n for n, anatomy in enumerate(table.parts, start=1)}
    lookup = np.zeros(int(masks.labels.max(initial=0)) + 1, dtype=np.uint8)
    for name, label in masks.legend.items():
        if label < len(lookup):
            lookup[label] = numbers.get(table.anatomy_of(name), 0)
    return OrganMasks(lookup[masks.labels], numbers, masks.geometry, source=masks.source)


def require_choice(choice: str) -> None:
    """Refuse a choice of masks that cannot be followed.

    Raises
    ------
    CtClipError
        If it is unknown, or TotalSegmentator is requested and not installed.
    """
    if choice not in MASK_CHOICES:
        raise CtClipError(f"unknown masks {choice!r}; expected one of {', '.join(MASK_CHOICES)}")
    if choice == "totalsegmentator" and not is_installed():
        raise CtClipError(
            "TotalSegmentator is not installed; install it with pip install "
            '"napari-ctclip[segment]", or choose --masks auto'
        )

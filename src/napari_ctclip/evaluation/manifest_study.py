"""Manifest study: the scan and the organ masks of one line of a manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_ctclip.core.notice import Notice
from napari_ctclip.core.study import Study
from napari_ctclip.io import read_organ_masks, read_volume
from napari_ctclip.io.ct.archive_metadata import ArchiveMetadata

if TYPE_CHECKING:
    from napari_ctclip.io.store.manifest_entry import ManifestEntry

__all__ = ["read_manifest_study"]


def read_manifest_study(
    entry: ManifestEntry, *, quick_masks: bool
) -> tuple[Study, tuple[Notice, ...]]:
    """Return a study with the masks of its file, or else those made from HU if they are wanted.

    Raises
    ------
    DataError
        If the scan or its masks cannot be used.
    """
    metadata = ArchiveMetadata(entry.rescale, entry.affine)
    read = read_volume(entry.image, series=entry.series, metadata=metadata)
    masks, notices = None, read.notices
    if entry.masks is not None:
        read_masks = read_organ_masks(entry.masks, read.volume, legend=entry.legend)
        masks, notices = read_masks.masks, notices + read_masks.notices
    elif quick_masks:
        from napari_ctclip.segmentation.quick_masks import quick_organ_masks

        masks = quick_organ_masks(read.volume)
    return Study(read.volume, masks, study_id=entry.study_id), notices

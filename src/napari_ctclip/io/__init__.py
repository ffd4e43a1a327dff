"""Files to nouns and back; nothing heavy is imported before the first file is touched."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_ctclip.io.ct.dicom_series import SeriesInfo, list_series
    from napari_ctclip.io.ct.read import ReadVolume, can_read, read_volume
    from napari_ctclip.io.export.exports import write_heatmap, write_organ_masks
    from napari_ctclip.io.masks.organ_mask_files import (
        ReadMasks,
        cut_by_field_of_view,
        read_organ_masks,
    )

__all__ = [
    "ReadMasks",
    "ReadVolume",
    "SeriesInfo",
    "can_read",
    "cut_by_field_of_view",
    "list_series",
    "read_organ_masks",
    "read_volume",
    "write_heatmap",
    "write_organ_masks",
]

_HOME = {
    "ReadMasks": "masks.organ_mask_files",
    "ReadVolume": "ct.read",
    "SeriesInfo": "ct.dicom_series",
    "can_read": "ct.read",
    "cut_by_field_of_view": "masks.organ_mask_files",
    "list_series": "ct.dicom_series",
    "read_organ_masks": "masks.organ_mask_files",
    "read_volume": "ct.read",
    "write_heatmap": "export.exports",
    "write_organ_masks": "export.exports",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

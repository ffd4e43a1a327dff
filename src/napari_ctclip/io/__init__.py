"""Files to nouns and back; nothing heavy is imported before the first file is touched."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_ctclip.io.dicom_series import SeriesInfo, list_series
    from napari_ctclip.io.exports import write_heatmap, write_organ_masks
    from napari_ctclip.io.organ_mask_files import ReadMasks, cut_by_field_of_view, read_organ_masks
    from napari_ctclip.io.read import ReadVolume, can_read, read_volume

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
    "ReadMasks": "organ_mask_files",
    "ReadVolume": "read",
    "SeriesInfo": "dicom_series",
    "can_read": "read",
    "cut_by_field_of_view": "organ_mask_files",
    "list_series": "dicom_series",
    "read_organ_masks": "organ_mask_files",
    "read_volume": "read",
    "write_heatmap": "exports",
    "write_organ_masks": "exports",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

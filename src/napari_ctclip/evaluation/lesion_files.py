"""Lesion files: which file shows where a finding lies in a study, and its voxels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.volume import Volume
from napari_ctclip.evaluation.study_source import file_state
from napari_ctclip.io.csv_tables import read_csv_rows

__all__ = ["LesionFile", "read_lesion_table"]

_COLUMNS = ("study_id", "label", "file")
_PIXEL_KEYS = ("z_mm", "xmin", "xmax", "ymin", "ymax")
_WORLD_KEYS = ("low_mm", "high_mm")


@dataclass(frozen=True)
class LesionFile:
    """Where one finding lies in one study.

    Attributes
    ----------
    path : Path
        A mask (NIfTI, NRRD, MetaImage), or boxes (JSON).
    value : int
        The number that marks the finding in the mask; 0 for every number above 0.
    """

    path: Path
    value: int = 0

    def mask(self, volume: Volume) -> npt.NDArray[np.bool_]:
        """Return the voxels (D, H, W) of the finding on the volume's grid.

        Raises
        ------
        DataError
            If the file cannot be read, lies elsewhere in the patient, or marks no voxel.
        """
        read = _boxes if self.path.suffix.lower() == ".json" else partial(_labelled, self.value)
        mask = read(self.path, volume)
        if not mask.any():
            raise DataError(
                f"{self.path}: no voxel of the scan is marked; give this scan's lesions"
            )
        return mask

    def fingerprint(self) -> list[Any]:
        """Return size and time of the file, and the number in it."""
        return [file_state(self.path), self.value]


def read_lesion_table(path: Path) -> dict[str, dict[str, LesionFile]]:
    """Return study id -> label -> file, from a CSV with study_id, label, file and perhaps value.

    Relative paths start at the table's folder.

    Raises
    ------
    DataError
        If the table cannot be read, lacks a column, or names a file that is not there.
    """
    found: dict[str, dict[str, LesionFile]] = {}
    rows = read_csv_rows(path, _COLUMNS, what="the lesion table")
    for number, row in enumerate(rows, start=2):
        entry = _lesion_file(row, path, number)
        labels = found.setdefault(row["study_id"], {})
        if row["label"] in labels:
            raise DataError(
                f"{path}, line {number}: study {row['study_id']!r} has {row['label']!r} "
                "twice; join its lesions in one mask"
            )
        labels[row["label"]] = entry
    return found


def _lesion_file(row: Mapping[str, str], table: Path, number: int) -> LesionFile:
    path, value = table.parent / row["file"], (row.get("value") or "0").strip()
    if not path.is_file():
        raise DataError(f"{table}, line {number}: no file {path}")
    if not value.isdigit():
        raise DataError(f"{table}, line {number}: value is a whole number, got {value!r}")
    return LesionFile(path, int(value))


def _labelled(value: int, path: Path, volume: Volume) -> npt.NDArray[np.bool_]:
    from napari_ctclip.io.masks.label_map import read_label_map
    from napari_ctclip.io.masks.label_resampling import Placement, labels_on_grid

    label_map = read_label_map(path)
    labels = labels_on_grid(
        label_map.labels, Placement(label_map.geometry, volume.geometry), np.uint16
    )
    return np.asarray(labels == value if value else labels > 0)


def _boxes(path: Path, volume: Volume) -> npt.NDArray[np.bool_]:
    try:
        content = json.loads(path.read_text("utf-8"))
        boxes = [_box(entry, volume) for entry in content]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(
            f"{path}: expected a list of boxes with {', '.join(_PIXEL_KEYS)} (columns and rows of "
            f"the slice at z) or with {' and '.join(_WORLD_KEYS)} (RAS): {error}"
        ) from error
    stored = np.zeros(volume.stored_geometry.shape, dtype=np.uint8)
    for box in boxes:
        stored[box] = 1
    if stored.shape == volume.geometry.shape and volume.stored_geometry == volume.geometry:
        return stored.astype(bool)
    from napari_ctclip.io.masks.label_resampling import Placement, labels_on_grid

    placement = Placement(volume.stored_geometry, volume.geometry)
    return labels_on_grid(stored, placement, np.uint8).astype(bool)


def _box(entry: Mapping[str, Any], volume: Volume) -> tuple[slice, slice, slice]:
    """Return the voxels of a box on the grid as the file stores it."""
    grid = volume.stored_geometry
    if "low_mm" in entry:
        corners = grid.world_to_index([entry["low_mm"], entry["high_mm"]])
        low, high = corners.min(axis=0), corners.max(axis=0)
        # a voxel belongs to a box that holds its centre; a box thinner than a voxel keeps one
        first = np.minimum(np.ceil(low - 1e-6), np.floor(high)).astype(int)
        last = np.maximum(np.floor(high + 1e-6).astype(int), first)
    else:
        columns, rows, slices = grid.shape
        centres = grid.index_to_world(
            [((columns - 1) / 2, (rows - 1) / 2, k) for k in range(slices)]
        )
        nearest = int(np.argmin(np.abs(centres[:, 2] - float(entry["z_mm"]))))
        first = np.array([int(entry["xmin"]), int(entry["ymin"]), nearest])
        last = np.array([int(entry["xmax"]), int(entry["ymax"]), nearest])
    first = np.maximum(first, 0)
    i, j, k = (slice(int(a), int(b) + 1) for a, b in zip(first, last, strict=True))
    return i, j, k

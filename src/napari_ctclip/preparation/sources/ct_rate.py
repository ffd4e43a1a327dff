"""CT-RATE's layout, both versions: which of them a file is, its own voxels tell later."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import DataError
from napari_ctclip.preparation.sources.draft import Draft
from napari_ctclip.preparation.sources.scan_files import ScanFiles
from napari_ctclip.preparation.sources.tables import Row, read_table

__all__ = ["draft_from_ct_rate", "is_ct_rate", "volume_names"]

_NAME = re.compile(r"^((train|valid)_\d+)_[a-z]+_\d+$")
_REPORTS = ("radiology_text_reports", "reports", "")
_LABELS = ("multi_abnormality_labels", "labels", "")
_METADATA = ("metadata", "")
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


def is_ct_rate(folder: Path) -> bool:
    """Return whether a folder holds CT-RATE's tables of reports."""
    return bool(_tables(folder, _REPORTS, "*report*.csv"))


def draft_from_ct_rate(folder: Path, *, masks_folder: Path | None = None) -> Draft:
    """Return the volumes of a copy of CT-RATE, one study each (a scan has several reconstructions).

    Version 1 stores raw numbers and headers without their grid, and its metadata table holds slope,
    intercept, spacing and position; version 2 is in HU. Slope and intercept go into the manifest
    as ``rescale`` and are applied only to volumes whose voxels show that they are raw.

    Raises
    ------
    DataError
        If a table cannot be read.

    References
    ----------
    Hamamci et al. 2024 (arXiv 2403.17834), data; CT-CLIP issue 50 on rescaling twice.
    """
    reports = _by_volume(_tables(folder, _REPORTS, "*report*.csv"))
    labels = _by_volume(_tables(folder, _LABELS, "*labels*.csv"))
    metadata = _by_volume(_tables(folder, _METADATA, "*metadata*.csv"))
    files = ScanFiles(folder)
    masks = None if masks_folder is None else ScanFiles(masks_folder)
    draft = Draft()
    for name in volume_names(files):
        match = _NAME.match(name)
        assert match is not None
        values: dict[str, Any] = {"study_id": name, "patient_id": match[1], "split": match[2]}
        report = reports.get(name)
        values["findings"] = _cell(report, "Findings_EN")
        values["impression"] = _cell(report, "Impressions_EN")
        values["labels"] = _labels(labels.get(name, {}))
        try:
            values["image"] = files.scan(name)
            values["masks"] = files.masks(name, masks)
            values |= _from_metadata(metadata.get(name))
        except DataError as error:
            draft.reject(values, "several-files", str(error))
        except (ValueError, KeyError, SyntaxError) as error:
            draft.reject(values, "metadata-unreadable", f"its row of the metadata table: {error!r}")
        else:
            draft.add(values)
    present = set(volume_names(files))
    for name in sorted(set(reports) - present):
        row = {"study_id": name, "patient_id": name.rsplit("_", 2)[0]}
        draft.reject(row, "missing-file", f"a report, but no volume called {name} below {folder}")
    return draft


def volume_names(files: ScanFiles) -> list[str]:
    """Return the names of CT-RATE's volumes among files, each once, in order of the paths."""
    return list(dict.fromkeys(stem for stem, _ in files if _NAME.match(stem)))


def _tables(folder: Path, subfolders: Iterable[str], pattern: str) -> list[Path]:
    """Return the tables in the first of the subfolders that has any."""
    for name in subfolders:
        found = sorted((folder / name).glob(pattern))
        if found:
            return found
    return []


def _by_volume(tables: list[Path]) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for path in tables:
        table = read_table(path)
        table.require(["VolumeName"])
        for row in table.rows:
            rows[row["VolumeName"].removesuffix(".gz").removesuffix(".nii")] = row
    return rows


def _cell(row: Row | None, column: str) -> str:
    text = "" if row is None else row.get(column, "")
    return "" if text.strip().lower() in ("not given.", "not given", "nan") else text


def _labels(row: Row) -> dict[str, int]:
    return {name: round(float(cell)) for name, cell in row.items() if name != "VolumeName" and cell}


def _from_metadata(row: Row | None) -> dict[str, Any]:
    """Return rescale and grid as the manifest has them; nothing without metadata."""
    if row is None:
        return {}
    values: dict[str, Any] = {}
    if row.get("RescaleSlope") and row.get("RescaleIntercept"):
        values["rescale"] = (float(row["RescaleSlope"]), float(row["RescaleIntercept"]))
    if row.get("XYSpacing") and row.get("ZSpacing"):
        values["affine"] = _affine(row).tolist()
    return values


def _affine(row: Row) -> npt.NDArray[np.float64]:
    """Return file index (i, j, k) to RAS mm: columns, rows, slices as the scanner stacked them."""
    across, down = (float(s) for s in ast.literal_eval(row["XYSpacing"]))
    directions = ast.literal_eval(row.get("ImageOrientationPatient") or "[1, 0, 0, 0, 1, 0]")
    position = ast.literal_eval(row.get("ImagePositionPatient") or "[0, 0, 0]")
    along_i, along_j = np.array(directions[:3], float), np.array(directions[3:], float)
    axes = np.stack([along_i, along_j, np.cross(along_i, along_j)], axis=1)
    affine = np.eye(4)
    affine[:3, :3] = _LPS_TO_RAS @ axes * np.array([across, down, float(row["ZSpacing"])])
    affine[:3, 3] = _LPS_TO_RAS @ np.array(position, float)
    return affine

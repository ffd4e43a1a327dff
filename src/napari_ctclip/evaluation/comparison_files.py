"""Comparison files: result folders in, a comparison as CSV, JSON and one HTML page out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from napari_ctclip.core.errors import DataError
from napari_ctclip.evaluation.comparison import Comparison, ComparisonRow, compare_tables
from napari_ctclip.evaluation.label_metrics import Resampling
from napari_ctclip.evaluation.result_files import SCORES_FILE, plain, write_rows
from napari_ctclip.evaluation.score_table import read_score_table
from napari_ctclip.io.export.nifti_writing import replacing

__all__ = ["compare_folders", "write_comparison"]


def compare_folders(folders: Sequence[Path], *, resampling: Resampling | None = None) -> Comparison:
    """Return the comparison of result folders, each named as its folder.

    Raises
    ------
    DataError
        If a folder holds no result, is given twice, or two cannot be compared.
    """
    resolved = [folder.resolve() for folder in folders]
    twice = sorted({str(f) for f in folders if resolved.count(f.resolve()) > 1})
    if twice:
        raise DataError(f"{', '.join(twice)}: given twice; give different results")
    tables = {}
    for folder, name in zip(folders, _names(resolved), strict=True):
        if not (folder / SCORES_FILE).is_file():
            raise DataError(
                f"{folder}: no {SCORES_FILE}; give folders that napari-ctclip evaluate has finished"
            )
        tables[name] = read_score_table(folder / SCORES_FILE)
    return compare_tables(tables, resampling=resampling)


def write_comparison(comparison: Comparison, folder: Path) -> list[Path]:
    """Write comparison.csv, comparison.json and comparison.html; return the files."""
    from napari_ctclip.evaluation.report_page import comparison_page

    files = [folder / f"comparison.{suffix}" for suffix in ("csv", "json", "html")]
    write_rows([_csv_row(row) for row in comparison.rows], files[0])
    with replacing(files[1]) as partial:
        text = json.dumps(plain(comparison), indent=2, ensure_ascii=False)
        partial.write_text(text + "\n", "utf-8")
    with replacing(files[2]) as partial:
        partial.write_text(comparison_page(comparison), "utf-8")
    return files


def _names(folders: Sequence[Path]) -> list[str]:
    """Return the folders' own names, with as much of the path as tells them apart."""
    for parts in range(1, max(len(folder.parts) for folder in folders) + 1):
        names = ["/".join(folder.parts[-parts:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]


def _csv_row(row: ComparisonRow) -> dict[str, object]:
    return {
        "a": row.pair[0],
        "b": row.pair[1],
        "label": row.label,
        "metric": row.metric,
        "studies": row.studies,
        "patients": row.patients,
        "positives": row.positives,
        "value_a": row.a,
        "value_b": row.b,
        "difference": row.difference.value,
        "difference_low": row.difference.low,
        "difference_high": row.difference.high,
        "p_bootstrap": row.p_bootstrap,
        "p_delong": row.p_delong,
        "p_holm": row.p_holm,
    }

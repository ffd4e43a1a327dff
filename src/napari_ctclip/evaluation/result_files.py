"""Result files: an evaluation, or a comparison, as CSV, JSON and one HTML page."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from napari_ctclip.core.errors import DataError
from napari_ctclip.evaluation.bootstrap import Interval
from napari_ctclip.evaluation.comparison import Comparison, ComparisonRow, compare_tables
from napari_ctclip.evaluation.evaluation_result import Evaluation
from napari_ctclip.evaluation.label_metrics import RANKING_METRICS, LabelMetrics, Resampling
from napari_ctclip.evaluation.metrics import DECISION_METRICS
from napari_ctclip.evaluation.score_table import read_score_table, write_score_table
from napari_ctclip.io.files import replacing, write_text

__all__ = [
    "METRICS_FILE",
    "SCORES_FILE",
    "compare_folders",
    "plain",
    "summary_table",
    "write_comparison",
    "write_evaluation",
    "write_rows",
]

SCORES_FILE = "scores.csv"
METRICS_FILE = "metrics.json"
SCHEMA_VERSION = 1

_COUNTS = ("studies", "patients", "positives", "unlabelled", "unscored")


def write_evaluation(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write scores.csv, metrics.csv, metrics.json, summary.md and report.html; return the files.

    localisation.csv, faithfulness.csv and phrasings.csv are added where they were measured. Each
    file is replaced whole or not at all.
    """
    from napari_ctclip.evaluation.report_page import report_page

    files = [folder / SCORES_FILE, folder / "metrics.csv"]
    write_score_table(evaluation.table, files[0])
    write_rows(list(_metric_rows(evaluation)), files[1])
    for name, rows in (
        ("localisation", evaluation.localisation),
        ("faithfulness", evaluation.faithfulness),
        ("phrasings", evaluation.phrasings),
    ):
        if rows:
            files.append(folder / f"{name}.csv")
            write_rows([_flat(asdict(row)) for row in rows], files[-1])
    files.append(folder / METRICS_FILE)
    text = json.dumps(plain(_content(evaluation)), indent=2, ensure_ascii=False)
    write_text(files[-1], text + "\n")
    files.append(folder / "summary.md")
    write_text(files[-1], summary_table(evaluation) + "\n")
    files.append(folder / "report.html")
    write_text(files[-1], report_page(evaluation))
    return files


def summary_table(evaluation: Evaluation) -> str:
    """Return one Markdown row a finding and their mean: the table of a model card.

    AUROC, and the share of findings that the heatmap's peak lies in where lesions are known, for
    the task's own words and as the mean over its further phrasings.
    """
    columns = _summary_columns(evaluation)
    titles = ["finding", "studies with / without", *columns]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for metrics in evaluation.labels:
        counts = f"{metrics.positives} / {metrics.studies - metrics.positives}"
        values = [_summary_cell(name, found[metrics.label]) for name, found in columns.items()]
        lines.append(f"| {' | '.join([metrics.label, counts, *values])} |")
    averaged = [m.label for m in evaluation.labels if m.label in evaluation.averaged]
    means = [
        f"**{_summary_cell(name, _mean([values[label] for label in averaged]))}**"
        for name, values in columns.items()
    ]
    left_out = [m.label for m in evaluation.labels if m.label not in averaged]
    name = f"**mean** (without {', '.join(left_out)})" if left_out else "**mean**"
    return "\n".join([*lines, f"| {name} | | {' | '.join(means)} |"])


def _summary_columns(evaluation: Evaluation) -> dict[str, dict[str, float]]:
    """Return title -> label -> value for everything that was measured."""
    labels = [metrics.label for metrics in evaluation.labels]
    columns = {"AUROC": {m.label: m.values["auroc"].value for m in evaluation.labels}}
    places = {r.label: r.pointing.value for r in evaluation.localisation if r.size == "all"}
    if places:
        columns["peak in lesion"] = {label: places.get(label, math.nan) for label in labels}
    rows = {label: [r for r in evaluation.phrasings if r.label == label] for label in labels}
    if evaluation.phrasings:
        columns["AUROC, other phrasings"] = {
            label: _mean([row.auroc for row in rows[label]]) for label in labels
        }
    if any(row.located for row in evaluation.phrasings):
        columns["peak in lesion, other phrasings"] = {
            label: _mean([row.pointing for row in rows[label]]) for label in labels
        }
    return columns


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return math.fsum(known) / len(known) if known else math.nan


def _summary_cell(title: str, value: float) -> str:
    if not math.isfinite(value):
        return "–"
    return f"{value:.2f}" if title.startswith("peak") else f"{value:.3f}"


def write_rows(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write rows as CSV; the first has every column. NaN is an empty cell."""
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _cell(value) for name, value in row.items()})


def plain(value: Any) -> Any:
    """Return dataclasses, tuples and NaN as what JSON knows."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain({name: getattr(value, name) for name in value.__dataclass_fields__})
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _metric_rows(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    quality = {c.label: c.kinds for c in evaluation.calibrations}
    for metrics in (*evaluation.labels, evaluation.macro):
        row = _metric_row(metrics, evaluation, column="all", group="")
        for kind in ("own", "temperature", "platt"):
            known = quality.get(metrics.label, {}).get(kind)
            row[f"ece_{kind}"] = None if known is None else known.expected_calibration_error
            row[f"brier_{kind}"] = None if known is None else known.brier
        yield row | {"notes": "; ".join(metrics.notes)}
    empty = dict.fromkeys(
        f"{name}_{kind}" for kind in ("own", "temperature", "platt") for name in ("ece", "brier")
    )
    for part in evaluation.subgroups:
        for metrics in (*part.labels, part.macro):
            row = _metric_row(metrics, evaluation, column=part.column, group=part.group)
            yield row | empty | {"notes": "; ".join(metrics.notes)}


def _metric_row(
    metrics: LabelMetrics, evaluation: Evaluation, *, column: str, group: str
) -> dict[str, Any]:
    point = metrics.operating_point
    row: dict[str, Any] = {"column": column, "group": group, "label": metrics.label}
    row["split"] = evaluation.plan.split
    row |= {name: getattr(metrics, name) for name in _COUNTS}
    if point is None:  # a mean over findings
        row |= dict.fromkeys(("positives", "unlabelled", "unscored"))
    for name in RANKING_METRICS:
        row |= _interval(name, metrics.values[name])
    row["threshold"] = None if point is None else point.threshold
    row["threshold_of"] = "" if point is None else point.of
    row["threshold_from"] = "" if point is None else point.origin
    for name in DECISION_METRICS:
        row |= _interval(name, metrics.values[name])
    return row


def _content(evaluation: Evaluation) -> dict[str, Any]:
    table = evaluation.table
    return {
        "schema_version": SCHEMA_VERSION,
        "plan": evaluation.plan,
        "studies": len(table.studies),
        "patients": len(set(table.patients)),
        "labels": evaluation.labels,
        "macro": evaluation.macro,
        "calibration": {"temperature": evaluation.temperature, "labels": evaluation.calibrations},
        "subgroups": evaluation.subgroups,
        "localisation": evaluation.localisation,
        "faithfulness": evaluation.faithfulness,
        "phrasings": evaluation.phrasings,
        "notices": [asdict(notice) for notice in evaluation.notices],
        "provenance": evaluation.provenance,
    }


def _interval(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row whose intervals are three columns each."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            flat |= _interval(name, Interval(**value))
        else:
            flat[name] = value
    return flat


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else ""
    return "" if value is None else value


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
    text = json.dumps(plain(comparison), indent=2, ensure_ascii=False)
    write_text(files[1], text + "\n")
    write_text(files[2], comparison_page(comparison))
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

"""ROI tables: the findings of a region and the regions like it, as CSV, with what made them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_ctclip.explanation.roi_reading import RoiReading
from napari_ctclip.io.csv_tables import number_cell, write_csv_table
from napari_ctclip.io.export.nifti_writing import replacing
from napari_ctclip.regions.region_statistics import PERCENTS
from napari_ctclip.scoring.provenance import describe_templates

__all__ = ["ROI_COLUMNS", "SIMILAR_COLUMNS", "write_roi"]

ROI_COLUMNS = (
    "rank",
    "finding",
    "known",
    "similarity",
    "organ_percentile",
    "mirrored_similarity",
    "prompt_percentile",
    "prompt_p",
)
"""Columns of ``findings.csv``; a number that cannot be said is left empty."""

SIMILAR_COLUMNS = ("rank", "organ", "cosine", "x_mm", "y_mm", "z_mm")
"""Columns of ``similar.csv``; points are in the file's RAS world."""


def write_roi(
    reading: RoiReading, folder: Path, *, drawn: Mapping[str, Any], provenance: Mapping[str, Any]
) -> tuple[Path, ...]:
    """Write ``findings.csv``, ``similar.csv``, ``hounsfield.csv`` and ``roi.json``.

    Parameters
    ----------
    reading : RoiReading
        What is known of the region.
    folder : Path
        Made if it is not there.
    drawn : mapping
        How the region was given, e.g. its middle and radius.
    provenance : mapping
        What the numbers depend on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    local, histogram = reading.local, reading.histogram
    findings = () if local is None else local.findings
    rows: Iterable[Sequence[object]] = (
        (
            rank,
            finding.text,
            "yes" if finding.known else "no",
            f"{finding.similarity:.6f}",
            number_cell(finding.organ_percentile, 3),
            number_cell(finding.mirrored, 6),
            number_cell(finding.prompt_percentile, 3),
            number_cell(finding.prompt_p, 6),
        )
        for rank, finding in enumerate(findings, start=1)
    )
    written = [write_csv_table(folder / "findings.csv", ROI_COLUMNS, rows)]
    similar = () if local is None else local.similar
    rows = (
        (rank, one.organ, f"{one.cosine:.6f}", *(f"{mm:.2f}" for mm in one.world_mm))
        for rank, one in enumerate(similar, start=1)
    )
    written.append(write_csv_table(folder / "similar.csv", SIMILAR_COLUMNS, rows))
    bins = zip(histogram.edges[:-1], histogram.edges[1:], histogram.shares, strict=True)
    rows = ((low, high, f"{share:.6f}") for low, high, share in bins)
    columns = ("from_hu", "below_hu", "share")
    written.append(write_csv_table(folder / "hounsfield.csv", columns, rows))
    record = {"roi": {**drawn, **_facts(reading)}, **provenance}
    path = folder / "roi.json"
    with replacing(path) as partial:
        partial.write_text(json.dumps(record, indent=2), encoding="utf-8")
    return (*written, path)


def _facts(reading: RoiReading) -> dict[str, Any]:
    statistics, local = reading.statistics, reading.local
    facts: dict[str, Any] = {
        "voxels": statistics.voxels,
        "volume_ml": statistics.volume_ml,
        "mean_hu": statistics.mean_hounsfield,
        "sd_hu": statistics.sd_hounsfield,
        "percentiles_hu": dict(
            zip(map(str, PERCENTS), statistics.percentiles_hounsfield, strict=True)
        ),
        "middle_voxel_zyx": statistics.centre,
        "middle_ras_mm": statistics.world_mm,
        "organs": dict(statistics.organs),
    }
    if local is not None:
        facts |= {
            "reference_organ": local.organ,
            "control_regions": local.controls,
            "reference_prompts": local.prompts,
            "mirror": local.mirror,
            "templates": describe_templates(reading.templates),
        }
    return facts

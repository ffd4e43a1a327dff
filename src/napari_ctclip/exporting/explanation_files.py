"""Explanation files: a read region, an occluded region and a tested map as tables and figures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_ctclip.core.volume import Volume
from napari_ctclip.explanation.map_test import MapTest
from napari_ctclip.explanation.occlusion import OccludedRegion
from napari_ctclip.explanation.roi_reading import RoiReading
from napari_ctclip.exporting.faithfulness_figures import map_test_figure, occlusion_figure
from napari_ctclip.figures.figures import write_figure
from napari_ctclip.io.csv_tables import number_cell, write_csv_table
from napari_ctclip.io.files import write_text
from napari_ctclip.regions.region_statistics import PERCENTS
from napari_ctclip.scoring.provenance import describe_prompt, describe_templates

__all__ = [
    "MAP_TEST_COLUMNS",
    "OCCLUSION_COLUMNS",
    "ROI_COLUMNS",
    "SIMILAR_COLUMNS",
    "write_map_test",
    "write_occlusion",
    "write_roi",
]

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

OCCLUSION_COLUMNS = ("prompt", "where", "before", "after", "change", "controls_beyond", "controls")
"""Columns of ``occlusion.csv``, similarities; then one column a control, its change."""

MAP_TEST_COLUMNS = (
    "prompt", "where", "share", "tokens", "deletion", "insertion", "reference_deletion",
    "reference_insertion",
)  # fmt: skip
"""Columns of ``deletion_curve.csv``: similarities with so many tokens blurred or left alone."""


def write_occlusion(
    occluded: OccludedRegion, volume: Volume, folder: Path, *, provenance: Mapping[str, Any]
) -> list[Path]:
    """Write ``occlusion.csv``, ``occlusion.png`` and ``occlusion.json``; return the files.

    Parameters
    ----------
    occluded : OccludedRegion
        The result.
    volume : Volume
        The scan as it is.
    folder : Path
        Made if it does not exist. Files of the same name are replaced, each whole or not at all.
    provenance : mapping
        What the numbers depend on; the region and its filling are added.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"occlusion.{ending}" for ending in ("csv", "png", "json")]
    numbers = range(1, len(occluded.controls) + 1)
    head = (*OCCLUSION_COLUMNS, *(f"control_{n}" for n in numbers))
    write_csv_table(
        files[0], head, (_occlusion_row(occluded, row) for row in range(len(occluded.effects)))
    )
    write_figure(occlusion_figure(occluded, volume), files[1])
    facts = dict(provenance) | {"occlusion": _occlusion_facts(occluded, volume)}
    write_text(files[2], json.dumps(facts, indent=2) + "\n")
    return files


def write_map_test(tested: MapTest, folder: Path, *, provenance: Mapping[str, Any]) -> list[Path]:
    """Write ``deletion_curve.csv``, ``.png`` and ``.json``; return the files.

    Parameters
    ----------
    tested : MapTest
        The curves.
    folder : Path
        Made if it does not exist. Files of the same name are replaced, each whole or not at all.
    provenance : mapping
        What the numbers depend on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"deletion_curve.{ending}" for ending in ("csv", "png", "json")]
    rows = (
        (
            tested.prompt.positive, tested.anatomy, f"{row.share:g}", row.tokens,
            *(f"{v:.6f}" for v in (row.deletion, row.insertion)),
            *(f"{v:.6f}" for v in (row.reference_deletion, row.reference_insertion)),
        )
        for row in tested.rows
    )  # fmt: skip
    write_csv_table(files[0], MAP_TEST_COLUMNS, rows)
    write_figure(map_test_figure(tested), files[1])
    budget = {
        "prompt": describe_prompt(tested.prompt),
        "tokens_that_bring_back_nine_tenths": tested.tokens_that_carry,
        "tokens_without_which_half_is_gone": tested.tokens_it_hangs_on,
        "token_mm": list(tested.token_mm),
    }
    text = json.dumps(dict(provenance) | {"map_test": budget}, indent=2)
    write_text(files[2], text + "\n")
    return files


def _occlusion_row(occluded: OccludedRegion, number: int) -> tuple[object, ...]:
    effect = occluded.effects[number]
    changes = [f"{control:.6f}" for control in effect.controls]
    missing = len(occluded.controls) - len(changes)
    return (
        occluded.prompt.positive,
        effect.where,
        f"{effect.before:.6f}",
        f"{effect.after:.6f}",
        f"{effect.change:.6f}",
        effect.beyond,
        len(effect.controls),
        *changes,
        *[""] * missing,
    )


def _occlusion_facts(occluded: OccludedRegion, volume: Volume) -> dict[str, Any]:
    fill, geometry = occluded.fill, volume.geometry
    middle = [start + (n - 1) / 2 for start, n in zip(
        occluded.region.start, occluded.region.mask.shape, strict=True)]  # fmt: skip
    return {
        "prompt": occluded.prompt.positive,
        "negative": occluded.prompt.negative,
        "templates": describe_templates(occluded.prompt.templates),
        "centre_mm": [round(float(v), 2) for v in geometry.index_to_world(middle)],
        "volume_ml": round(occluded.region.volume_ml(geometry), 4),
        "filled_ml": round(fill.region.volume_ml(geometry), 4),
        "organ": fill.organ,
        "donor_voxels": fill.donors,
        "donor_hounsfield": [round(fill.donor_mean, 1), round(fill.donor_sd, 1)],
        "notices": [notice.message for notice in occluded.notices],
    }


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
    record = {"roi": {**drawn, **_roi_facts(reading)}, **provenance}
    path = folder / "roi.json"
    write_text(path, json.dumps(record, indent=2))
    return (*written, path)


def _roi_facts(reading: RoiReading) -> dict[str, Any]:
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

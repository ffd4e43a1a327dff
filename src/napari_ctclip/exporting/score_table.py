"""Tables: scores and findings as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_ctclip.core.finding import Finding
from napari_ctclip.io.csv_tables import number_cell, write_csv_table
from napari_ctclip.scoring.answer import Answer

__all__ = ["FINDING_COLUMNS", "SCORE_COLUMNS", "write_findings", "write_scores"]

SCORE_COLUMNS = (
    "prompt",
    "negative",
    "anatomy",
    "similarity",
    "probability",
    "peak_x_mm",
    "peak_y_mm",
    "peak_z_mm",
    "peak_similarity",
    "templates",
)
"""Columns of ``scores.csv``; peaks lie in the file's RAS world, templates are named."""

FINDING_COLUMNS = (
    "number",
    "name",
    "state",
    "anatomy",
    "prompt",
    "negative",
    "x_mm",
    "y_mm",
    "z_mm",
    "slice",
    "row",
    "column",
    "volume_ml",
    "mean_hu",
    "similarity",
    "probability",
    "threshold_similarity",
    "note",
    "model",
    "weights_sha256",
    "preprocessing_sha256",
    "prompt_ensemble",
)
"""Columns of ``findings.csv``; mm in the file's RAS world, voxels as the window counts them."""


def write_scores(answers: Sequence[Answer], path: Path) -> Path:
    """Write one row a prompt and region."""
    rows = (
        (
            answer.prompt.positive,
            answer.prompt.negative,
            score.anatomy,
            f"{score.similarity:.6f}",
            f"{score.probability:.6f}",
            *(f"{mm:.2f}" for mm in score.peak.world_mm),
            f"{score.peak.value:.6f}",
            answer.prompt.templates.name,
        )
        for answer in answers
        for score in (answer.whole, *answer.organs)
    )
    return write_csv_table(path, SCORE_COLUMNS, rows)


def write_findings(findings: Sequence[Finding], path: Path) -> Path:
    """Write one row a finding, rejected ones too."""
    rows = (_finding_row(number, finding) for number, finding in enumerate(findings, start=1))
    return write_csv_table(path, FINDING_COLUMNS, rows)


def _finding_row(number: int, finding: Finding) -> tuple[object, ...]:
    prompt, origin = finding.prompt, finding.origin
    return (
        number,
        finding.name,
        finding.state,
        finding.anatomy,
        "" if prompt is None else prompt.positive,
        "" if prompt is None else prompt.negative,
        *(f"{mm:.2f}" for mm in finding.world_mm),
        *finding.index,
        number_cell(finding.volume_ml, 4),
        f"{finding.mean_hounsfield:.2f}",
        number_cell(finding.similarity, 6),
        number_cell(finding.probability, 6),
        number_cell(finding.threshold, 6),
        finding.note,
        origin.model,
        origin.weights_sha256,
        origin.preprocessing_sha256,
        origin.ensemble if prompt is not None else "",
    )

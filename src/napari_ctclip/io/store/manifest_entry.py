"""ManifestEntry: one study of a training set, as a line of its manifest says it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from napari_ctclip.core.report import Report

__all__ = ["SPLITS", "ManifestEntry", "Split"]

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")

_LONGEST_ID = 128
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _to_text(value: object) -> object:
    """Let a number stand for an id: spreadsheets and JSON writers drop the quotes."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


_Id = Annotated[str, BeforeValidator(_to_text), Field(min_length=1, max_length=_LONGEST_ID)]
_Row = tuple[float, float, float, float]


class ManifestEntry(BaseModel):
    """One study: where its files lie, what was written about it, which split it belongs to.

    Attributes
    ----------
    study_id, patient_id : str
        Unique name of the study; whose it is. A patient belongs to one split.
    image : Path
        CT file or DICOM folder (or a radiograph).
    masks : Path or None
        Label map of the organs.
    legend : str or None
        What the labels mean: a file, or ``"totalsegmentator-v1"`` / ``"-v2"``; found by looking
        where it is not given.
    series : str or None
        Which series of a DICOM folder.
    rescale : (slope, intercept) or None
        Of the archive's own metadata. Applied only where the voxels show that it has not been.
    affine : 4 x 4 or None
        Of the archive's own metadata: file index (i, j, k) to RAS mm. Used only where the file's
        header has another spacing.
    report, findings, impression : str
        The text: whole, or in its two parts.
    organ_sentences : dict of str to str
        What the report says about an anatomy.
    organ_normal : dict of str to bool
        Whether that is normal.
    labels : dict of str to 0, 1 or None
        Absent, present, unknown.
    split : {"train", "valid", "test"} or None
        None until ``prepare`` draws it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    study_id: _Id
    patient_id: _Id
    image: Path
    masks: Path | None = None
    legend: str | None = None
    series: str | None = None
    rescale: tuple[float, float] | None = None
    affine: tuple[_Row, _Row, _Row, _Row] | None = None
    report: str = ""
    findings: str = ""
    impression: str = ""
    organ_sentences: dict[str, str] = Field(default_factory=dict)
    organ_normal: dict[str, bool] = Field(default_factory=dict)
    labels: dict[str, Literal[0, 1] | None] = Field(default_factory=dict)
    split: Split | None = None

    @field_validator("study_id", "patient_id")
    @classmethod
    def _names_a_file(cls, value: str) -> str:
        if value != value.strip() or _CONTROL.search(value):
            raise ValueError("an id has neither spaces around it nor control characters")
        if not value.strip("."):
            raise ValueError("an id is more than dots")
        return value

    @field_validator("affine")
    @classmethod
    def _is_an_affine(cls, value: tuple[_Row, ...] | None) -> tuple[_Row, ...] | None:
        if value is not None:
            matrix = np.asarray(value)
            if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-9:
                raise ValueError("expected a finite affine that can be inverted")
        return value

    @model_validator(mode="after")
    def _says_normal_of_what(self) -> ManifestEntry:
        unknown = sorted(set(self.organ_normal) - set(self.organ_sentences))
        if unknown:
            raise ValueError(f"organ_normal has anatomies that organ_sentences lacks: {unknown}")
        return self

    @property
    def text(self) -> str:
        """The whole report: as given, or findings and impression, or else the organ sentences."""
        parts = [self.report] if self.report.strip() else [self.findings, self.impression]
        whole = " ".join(part.strip() for part in parts if part.strip())
        return whole or " ".join(s.strip() for s in self.organ_sentences.values() if s.strip())

    def as_report(self) -> Report:
        """Return findings and impression; a report that is not divided counts as findings."""
        if self.findings.strip() or self.impression.strip():
            return Report(self.findings, self.impression)
        return Report(self.report)

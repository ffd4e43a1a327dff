"""ScoreTable: truth and answers of many studies, the one thing that metrics are computed from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import DataError
from napari_ctclip.io.csv_tables import read_csv_rows, write_csv_table

__all__ = ["Column", "ScoreTable", "read_score_table", "write_score_table"]

_HEADER = ("study_id", "patient_id", "split", "label", "truth", "similarity", "probability",
           "region")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Column:
    """One label's studies that have both a truth and a score.

    Attributes
    ----------
    label : str
        The finding.
    studies : ndarray, shape (N,), intp
        Their rows in the table.
    patients : tuple of str, length N
        Their patients.
    truth : ndarray, shape (N,), bool
        Whether the finding is there.
    similarity, probability : ndarray, shape (N,), float64
        The model's answers, finite.
    unlabelled, unscored : int
        Studies left out: without a truth; with a truth but without a score.
    """

    label: str
    studies: npt.NDArray[np.intp]
    patients: tuple[str, ...]
    truth: npt.NDArray[np.bool_]
    similarity: npt.NDArray[np.float64]
    probability: npt.NDArray[np.float64]
    unlabelled: int
    unscored: int

    @property
    def logit(self) -> npt.NDArray[np.float64]:
        """Logits (N,) of the probabilities, finite."""
        safe = np.clip(self.probability, 1e-15, 1 - 1e-15)
        return np.asarray(np.log(safe) - np.log1p(-safe))


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """Studies in rows, labels in columns.

    Attributes
    ----------
    studies, patients, splits : tuple of str, length N
        What they are called, whose they are, where they belong (empty: no split).
    labels : tuple of str, length L
        Findings.
    truth, similarity, probability : ndarray, shape (N, L), float64
        Truth is 1, 0 or NaN (unknown); the answers are NaN where there is none.
    regions : tuple of tuple of str
        What was read out, [N][L].
    """

    studies: tuple[str, ...]
    patients: tuple[str, ...]
    splits: tuple[str, ...]
    labels: tuple[str, ...]
    truth: npt.NDArray[np.float64]
    similarity: npt.NDArray[np.float64]
    probability: npt.NDArray[np.float64]
    regions: tuple[tuple[str, ...], ...]

    def rows(self, members: npt.NDArray[np.bool_]) -> ScoreTable:
        """Return the table of some studies (N,)."""
        return self._at(np.flatnonzero(members))

    def aligned(self, studies: Sequence[str]) -> ScoreTable:
        """Return the table of some of its studies, in their order."""
        row_of = {study: i for i, study in enumerate(self.studies)}
        return self._at(np.array([row_of[study] for study in studies], dtype=np.intp))

    def _at(self, rows: npt.NDArray[np.intp]) -> ScoreTable:
        return replace(
            self,
            studies=tuple(self.studies[i] for i in rows),
            patients=tuple(self.patients[i] for i in rows),
            splits=tuple(self.splits[i] for i in rows),
            truth=self.truth[rows],
            similarity=self.similarity[rows],
            probability=self.probability[rows],
            regions=tuple(self.regions[i] for i in rows),
        )

    def of_split(self, split: str) -> ScoreTable:
        """Return the studies of one split."""
        return self.rows(np.array([own == split for own in self.splits], dtype=bool))

    def column(self, label: str) -> Column:
        """Return one label's studies that count."""
        j = self.labels.index(label)
        truth, similarity = self.truth[:, j], self.similarity[:, j]
        probability = self.probability[:, j]
        labelled = np.isfinite(truth)
        scored = np.isfinite(similarity) & np.isfinite(probability)
        used = np.flatnonzero(labelled & scored)
        return Column(
            label,
            used,
            tuple(self.patients[i] for i in used.tolist()),
            truth[used] > 0.5,
            similarity[used],
            probability[used],
            int((~labelled).sum()),
            int((labelled & ~scored).sum()),
        )


def write_score_table(table: ScoreTable, path: Path) -> None:
    """Write one line for each study and label; unknown and missing are empty."""
    rows = (
        (
            study,
            table.patients[i],
            table.splits[i],
            label,
            "" if math.isnan(table.truth[i, j]) else int(table.truth[i, j]),
            _cell(table.similarity[i, j]),
            _cell(table.probability[i, j]),
            table.regions[i][j],
        )
        for i, study in enumerate(table.studies)
        for j, label in enumerate(table.labels)
    )
    write_csv_table(path, _HEADER, rows)


def read_score_table(path: Path) -> ScoreTable:
    """Return the table that :func:`write_score_table` wrote.

    Raises
    ------
    DataError
        If it cannot be read, lacks a column, or has a study and label twice.
    """
    return _table(read_csv_rows(path, _HEADER, what="the scores"), path)


def _table(rows: Sequence[Mapping[str, str]], path: Path) -> ScoreTable:
    studies = {row["study_id"]: (row["patient_id"], row["split"]) for row in rows}
    row_of = {study: i for i, study in enumerate(studies)}
    labels = tuple(dict.fromkeys(row["label"] for row in rows))
    column_of = {label: j for j, label in enumerate(labels)}
    values = np.full((3, len(studies), len(labels)), np.nan)
    regions = [[""] * len(labels) for _ in studies]
    seen: set[tuple[str, str]] = set()
    for row in rows:
        key = (row["study_id"], row["label"])
        if key in seen:
            raise DataError(f"{path}: study {key[0]!r} has {key[1]!r} twice")
        seen.add(key)
        i, j = row_of[key[0]], column_of[key[1]]
        try:
            values[:, i, j] = [
                float(row[name] or "nan") for name in ("truth", "similarity", "probability")
            ]
        except ValueError as error:
            raise DataError(f"{path}: study {key[0]!r}, {key[1]!r}: {error}") from error
        regions[i][j] = row["region"]
    return ScoreTable(
        tuple(studies),
        tuple(patient for patient, _ in studies.values()),
        tuple(split for _, split in studies.values()),
        labels,
        values[0],
        values[1],
        values[2],
        tuple(tuple(row) for row in regions),
    )


def _cell(value: float) -> str:
    return f"{value:.9g}" if math.isfinite(value) else ""

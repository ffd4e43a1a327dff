"""Rejection: why a study was set aside, by a stable name and in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from napari_ctclip.core.errors import (
    CtClipError,
    GeometryMismatch,
    NotHounsfield,
    RescaledTwice,
    RescaleUndecidable,
    SeriesChoiceNeeded,
    UnknownLabelScheme,
    UnreadableFile,
)
from napari_ctclip.io.csv_tables import write_csv_table
from napari_ctclip.io.store.manifest_entry import ManifestEntry

__all__ = ["Rejection", "rejection_of", "write_rejections"]

_COLUMNS = ("study_id", "patient_id", "image", "code", "reason")
_OF_IMAGE: tuple[tuple[type[CtClipError], str], ...] = (
    (RescaledTwice, "rescaled-twice"),
    (RescaleUndecidable, "rescale-undecidable"),
    (NotHounsfield, "not-hounsfield"),
    (SeriesChoiceNeeded, "several-series"),
    (UnreadableFile, "corrupt-file"),
    (CtClipError, "not-a-ct"),
)
_OF_MASKS: tuple[tuple[type[CtClipError], str], ...] = (
    (UnknownLabelScheme, "unknown-label-scheme"),
    (GeometryMismatch, "mask-grid-mismatch"),
    (UnreadableFile, "corrupt-masks"),
    (CtClipError, "masks-failed"),
)


@dataclass(frozen=True)
class Rejection:
    """A study that does not enter the set.

    Attributes
    ----------
    study_id, patient_id, image : str
        As far as known.
    code : str
        Stable short name; ``docs/how-to/prepare-a-training-set.md`` lists them.
    reason : str
        What, expected, got, how to fix it.
    """

    study_id: str
    patient_id: str
    image: str
    code: str
    reason: str

    @classmethod
    def of(cls, entry: ManifestEntry, code: str, reason: str) -> Rejection:
        """Return the rejection of a study."""
        return cls(entry.study_id, entry.patient_id, str(entry.image), code, reason)


def rejection_of(entry: ManifestEntry, error: CtClipError, *, about_masks: bool) -> Rejection:
    """Return the rejection that an error of reading a study's files stands for."""
    table = _OF_MASKS if about_masks else _OF_IMAGE
    code = next(code for kind, code in table if isinstance(error, kind))
    return Rejection.of(entry, code, " ".join(str(error).split()))  # series are listed on lines


def write_rejections(rejections: Iterable[Rejection], path: Path) -> None:
    """Write ``rejected.csv``, whole or not at all."""
    rows = ([getattr(rejection, column) for column in _COLUMNS] for rejection in rejections)
    write_csv_table(path, _COLUMNS, rows, line_end="\n")

"""Study checks: reports that rules cannot read, and scans that look wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_ctclip.io.csv_tables import write_csv_table
from napari_ctclip.io.store.manifest_entry import ManifestEntry
from napari_ctclip.io.store.study_record import StudyRecord
from napari_ctclip.preparation.rejection import Rejection
from napari_ctclip.reports import decompose

__all__ = ["Suspicion", "check_report", "suspicions_of", "write_suspicions"]

# Ours: a report of a few words teaches little; slices beyond 5 mm hide nodules
_FEW_WORDS = 5
_THICK_MM = 5.0
_OUTLIER_DEVIATIONS = 6.0  # of the median absolute deviation, on the logarithm of the volume
_FEWEST_FOR_OUTLIERS = 12
_COLUMNS = ("study_id", "code", "message")


@dataclass(frozen=True)
class Suspicion:
    """One remark about one study.

    Attributes
    ----------
    study_id : str
        Of the study.
    code : str
        Stable short name.
    message : str
        What was found.
    """

    study_id: str
    code: str
    message: str


def suspicions_of(
    entries: Sequence[ManifestEntry], records: Mapping[str, StudyRecord], *, is_ct: bool
) -> tuple[Suspicion, ...]:
    """Return remarks about the studies of a set, in their order.

    Parameters
    ----------
    entries : sequence of ManifestEntry
        The studies kept.
    records : mapping of str to StudyRecord
        Of every one of them.
    is_ct : bool
        Whether they are scans; radiographs have neither slices nor organs.
    """
    outliers = _volume_outliers(records.values()) if is_ct else {}
    found: list[Suspicion] = []
    for entry in entries:
        record = records[entry.study_id]
        remarks = [(n.code, n.message) for n in record.notices if n.severity == "warning"]
        words = len(entry.text.split())
        if words < _FEW_WORDS:
            remarks.append(("few-words", f"The report has {words} words."))
        thickest = max(record.source_spacing_mm)
        if is_ct and thickest > _THICK_MM:
            remarks.append(("thick-slices", f"Voxels are up to {thickest:.1f} mm apart."))
        if is_ct and record.mask_source != "none" and not record.organs:
            remarks.append(("no-organ", "None of the chosen anatomies is in the label map."))
        remarks += outliers.get(entry.study_id, [])
        found += [Suspicion(entry.study_id, *remark) for remark in remarks]
    return tuple(found)


def write_suspicions(suspicions: Iterable[Suspicion], path: Path) -> None:
    """Write ``suspicious.csv``, whole or not at all."""
    rows = ((s.study_id, s.code, s.message) for s in suspicions)
    write_csv_table(path, _COLUMNS, rows, line_end="\n")


def _volume_outliers(records: Iterable[StudyRecord]) -> dict[str, list[tuple[str, str]]]:
    """Return remarks on organs that lie whole in the scan and differ much from the set's."""
    volumes: dict[str, list[tuple[str, float]]] = {}
    for record in records:
        for name, organ in record.organs.items():
            if not organ.is_cut:
                ml = organ.voxels * record.geometry.voxel_volume_ml
                volumes.setdefault(name, []).append((record.study_id, ml))
    remarks: dict[str, list[tuple[str, str]]] = {}
    for name, found in volumes.items():
        if len(found) < _FEWEST_FOR_OUTLIERS:
            continue
        logs = np.log([ml for _, ml in found])
        median = float(np.median(logs))
        deviation = max(float(np.median(np.abs(logs - median))), 0.05)
        for (study_id, ml), log in zip(found, logs, strict=True):
            if abs(log - median) > _OUTLIER_DEVIATIONS * deviation:
                message = f"{name} has {ml:.0f} ml, the median is {np.exp(median):.0f} ml."
                remarks.setdefault(study_id, []).append(("organ-volume", message))
    return remarks


_BLANK = {"", ".", "-", "--", "n/a", "na", "nan", "none", "not given", "not given.", "null"}


def check_report(entry: ManifestEntry, *, any_language: bool = False) -> Rejection | None:
    """Return why a study's text cannot be trained on; None if it can.

    A report is set aside as foreign if none of its sentences is recognised as English; one of
    which some are is kept, with a remark.
    """
    text = entry.text.strip()
    if text.lower() in _BLANK:
        reason = "no report: neither report, findings, impression nor organ sentences hold text"
        return Rejection.of(entry, "empty-report", reason)
    if any_language or all(notice.code != "not-english" for notice in decompose(text).notices):
        return None
    reason = (
        "no sentence of the report is recognised as English, which report rules and text encoders "
        "expect; translate it, or keep it with --any-language"
    )
    return Rejection.of(entry, "foreign-report", reason)

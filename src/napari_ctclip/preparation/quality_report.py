"""Quality report: one HTML page about a training set, without scripts or outside files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.io.files import write_text
from napari_ctclip.io.html_page import render_page
from napari_ctclip.io.store.manifest_entry import SPLITS, ManifestEntry
from napari_ctclip.io.store.study_record import StudyRecord
from napari_ctclip.io.store.study_store import StudyStore
from napari_ctclip.preparation.organ_texts import DescribedStudy
from napari_ctclip.preparation.quality_figures import contact_sheet, distributions
from napari_ctclip.preparation.rejection import Rejection
from napari_ctclip.preparation.study_checks import Suspicion

__all__ = ["write_quality_report"]

_ROWS_SHOWN = 200
_SHEET_STUDIES = 24
_TEMPLATE = "quality_report.html.jinja"


@dataclass(frozen=True)
class _OrganRow:
    """Counts of one anatomy over a set."""

    name: str
    described: int
    normal: int
    masks: int
    cut: int
    median_ml: float


def write_quality_report(
    studies: Sequence[DescribedStudy],
    store: StudyStore,
    path: Path,
    *,
    rejections: Sequence[Rejection],
    suspicions: Sequence[Suspicion],
) -> None:
    """Write the page, whole or not at all; the same set gives the same bytes.

    Parameters
    ----------
    studies : sequence of DescribedStudy
        The studies kept.
    store : StudyStore
        Holds every one of them.
    path : Path
        Where to, ``.html``.
    rejections, suspicions : sequence
        Listed, the first 200 of each.
    """
    entries = [study.entry for study in studies]
    records = [store.record(entry.study_id) for entry in entries]
    shown = _spread(entries, _SHEET_STUDIES)
    values: dict[str, Any] = {
        "specification": store.specification,
        "hash": store.hash,
        "splits": _splits(entries),
        "organs": _organs(entries, records),
        "findings": Counter(name for study in studies for name in study.findings).most_common(),
        "labels": _labels(entries),
        "mask_sources": sorted(Counter(record.mask_source for record in records).items()),
        "figures": distributions(entries, records, is_ct=store.specification.kind == "ct"),
        "sheet": contact_sheet([entry.study_id for entry in shown], store),
        "rejections": _grouped((r.code, r) for r in rejections),
        "rejections_shown": rejections[:_ROWS_SHOWN],
        "suspicions": _grouped((s.code, s) for s in suspicions),
        "suspicions_shown": suspicions[:_ROWS_SHOWN],
        "studies": len(entries),
        "patients": len({entry.patient_id for entry in entries}),
        "normal": sum(bool(e.organ_normal) and all(e.organ_normal.values()) for e in entries),
        "rejected": len(rejections),
        "suspicious": len({s.study_id for s in suspicions}),
    }
    page = render_page(
        "napari_ctclip.preparation", _TEMPLATE, filters={"anatomy": anatomy_label}, **values
    )
    write_text(path, page)


def _spread(entries: Sequence[ManifestEntry], most: int) -> list[ManifestEntry]:
    step = max(1, -(-len(entries) // most))
    return list(entries[::step])


def _splits(entries: Sequence[ManifestEntry]) -> list[tuple[str, int, int]]:
    """Return name, studies and patients of every split."""
    rows = []
    for split in SPLITS:
        own = [entry for entry in entries if entry.split == split]
        rows.append((str(split), len(own), len({entry.patient_id for entry in own})))
    return rows


def _organs(entries: Sequence[ManifestEntry], records: Sequence[StudyRecord]) -> list[_OrganRow]:
    """Return the anatomies by how many reports speak of them, then by how many masks there are."""
    described = Counter(name for entry in entries for name in entry.organ_sentences)
    normal = Counter(
        name for entry in entries for name, is_normal in entry.organ_normal.items() if is_normal
    )
    volumes: dict[str, list[float]] = {}
    cut: Counter[str] = Counter()
    for record in records:
        voxel_ml = record.geometry.voxel_volume_ml
        for name, organ in record.organs.items():
            volumes.setdefault(name, []).append(organ.voxels * voxel_ml)
            cut[name] += organ.is_cut
    rows = [
        _OrganRow(
            name,
            described[name],
            normal[name],
            len(volumes.get(name, ())),
            cut[name],
            float(np.median(volumes[name])) if name in volumes else 0.0,
        )
        for name in sorted({*described, *volumes})
    ]
    return sorted(rows, key=lambda row: (-row.described, -row.masks, row.name))


def _labels(entries: Sequence[ManifestEntry]) -> list[tuple[str, int, int, int]]:
    """Return label, studies with it, without it, and unknown."""
    names = dict.fromkeys(name for entry in entries for name in entry.labels)
    rows = []
    for name in names:
        values: Counter[int | None] = Counter(entry.labels.get(name) for entry in entries)
        rows.append((name, values[1], values[0], values[None]))
    return rows


def _grouped(items: Iterable[tuple[str, object]]) -> Mapping[str, int]:
    return dict(sorted(Counter(code for code, _ in items).items()))

"""A folder of scans and a table of reports, columns under any name; also radiographs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.preparation.sources.draft import Draft
from napari_ctclip.preparation.sources.scan_files import SCAN_SUFFIXES, ScanFiles
from napari_ctclip.preparation.sources.tables import Row, Table, column_mapping, read_table

__all__ = ["FIELDS", "RADIOGRAPH_SUFFIXES", "draft_from_table"]

FIELDS = (
    "study", "patient", "image", "masks", "legend", "series", "report", "findings", "impression",
    "split",
)  # fmt: skip
"""What a column may be given as."""

RADIOGRAPH_SUFFIXES = (".png", ".jpg", ".jpeg", ".dcm", ".dicom")

_USUAL: Mapping[str, tuple[str, ...]] = {
    "study": ("study", "study_id", "accession", "accessionnumber", "accession_number",
              "accessionno", "volumename", "id"),
    "patient": ("patient", "patient_id", "patientid", "subject_id", "subject"),
    "image": ("image", "image_path", "path", "file", "filename"),
    "masks": ("masks", "mask", "segmentation", "label_map"),
    "legend": ("legend",),
    "series": ("series",),
    "report": ("report", "report_text", "text"),
    "findings": ("findings", "findings_en"),
    "impression": ("impression", "impressions", "impressions_en"),
    "split": ("split",),
}  # fmt: skip
_SPLITS = {
    "train": "train", "training": "train", "valid": "valid", "validation": "valid", "val": "valid",
    "dev": "valid", "test": "test", "testing": "test",
}  # fmt: skip
_PRESENT = {"0": 0, "0.0": 0, "1": 1, "1.0": 1, "false": 0, "true": 1, "no": 0, "yes": 1}


def draft_from_table(
    table: Path,
    folder: Path,
    *,
    columns: Sequence[str] = (),
    masks_folder: Path | None = None,
    radiographs: bool = False,
) -> Draft:
    """Return the studies of a table of reports.

    Parameters
    ----------
    table : Path
        CSV with one row a study.
    folder : Path
        Scans: a column ``image`` holds paths below it; without one a scan is a file or a folder
        called like its study.
    columns : sequence of str
        ``field=Column`` each; fields are ``FIELDS`` and ``label:NAME``. Usual names are found.
    masks_folder : Path, optional
        Label maps called like their study. Else a file beside the scan with ``_seg`` or the like.
    radiographs : bool
        Whether the images are 2D pictures.

    Raises
    ------
    DataError
        If a table or column is missing.
    """
    content = read_table(table)
    mapping = _complete(column_mapping(columns, FIELDS), content)
    files = ScanFiles(folder, suffixes=RADIOGRAPH_SUFFIXES if radiographs else SCAN_SUFFIXES)
    masks = None if masks_folder is None else ScanFiles(masks_folder)
    draft = Draft()
    if "patient" not in mapping:
        message = "No column gives the patient: every study counts as a patient of its own, so one"
        message += " patient's studies may fall into two splits. Give one with --column patient=..."
        draft.notices.append(Notice(Severity.WARNING, "no-patient-column", message, str(table)))
    for row in content.rows:
        _add(draft, row, mapping=mapping, files=files, masks=masks)
    return draft


def _complete(mapping: dict[str, str], table: Table) -> dict[str, str]:
    """Return the mapping with columns of usual names added."""
    table.require(mapping.values())
    by_name = {name.lower(): name for name in table.columns}
    for field, names in _USUAL.items():
        found = next((by_name[name] for name in names if name in by_name), None)
        if field not in mapping and found is not None and found not in mapping.values():
            mapping[field] = found
    if "study" not in mapping and "image" not in mapping:
        table.require(["study"], hint="; say which column it is with --column study=...")
    if not {"report", "findings", "impression"} & set(mapping):
        table.require(["report"], hint="; say which it is with --column report=... or findings=...")
    return mapping


def _add(
    draft: Draft,
    row: Row,
    *,
    mapping: Mapping[str, str],
    files: ScanFiles,
    masks: ScanFiles | None,
) -> None:
    given = {field: row[column] for field, column in mapping.items() if row.get(column)}
    labels = {
        f.removeprefix("label:"): row[c] for f, c in mapping.items() if f.startswith("label:")
    }
    study = given.get("study") or _name_of(given.get("image", ""))
    values: dict[str, Any] = {
        "study_id": study,
        "patient_id": given.get("patient") or study,
        **{
            k: given[k]
            for k in ("report", "findings", "impression", "legend", "series")
            if k in given
        },
        "labels": {name: _PRESENT.get(cell.lower()) for name, cell in labels.items()},
    }
    if "split" in given:
        values["split"] = _SPLITS.get(given["split"].lower(), given["split"])
    try:
        values["image"] = files.folder / given["image"] if "image" in given else files.scan(study)
        values["masks"] = (
            files.folder / given["masks"] if "masks" in given else files.masks(study, masks)
        )
    except DataError as error:
        draft.reject(values, "several-files", str(error))
        return
    if values["image"] is None:
        reason = f"no scan called {study!r} below {files.folder}; name it in a column image"
        draft.reject({**values, "image": ""}, "missing-file", reason)
        return
    draft.add(values)


def _name_of(image: str) -> str:
    """Return the study a path stands for: without its endings, slashes kept."""
    path = Path(image)
    stem = path.name
    for suffix in (".gz", *SCAN_SUFFIXES, *RADIOGRAPH_SUFFIXES):
        stem = stem.removesuffix(suffix)
    return (path.parent / stem).as_posix().strip("/")

"""A made-up archive of forty small studies with a fault of every kind planted in it."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt

from napari_ctclip.core.anatomy import TOTALSEGMENTATOR_V1, TOTALSEGMENTATOR_V2
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.study import Study
from napari_ctclip.simulation import SimulatedStudy, simulate_study
from napari_ctclip.simulation.dicom import write_dicom_series

SPACING_MM = (7.0, 6.0, 6.0)
STUDIES = 40
_BODIES = 6  # simulated; the studies are these with other noise

PLANTED: Mapping[int, str] = {
    3: "missing-file",
    5: "corrupt-file",
    8: "rescaled-twice",
    11: "foreign-report",
    14: "empty-report",
    17: "patient-in-two-splits",
    18: "patient-in-two-splits",
    21: "unknown-label-scheme",
    24: "mask-grid-mismatch",
    27: "not-hounsfield",
    30: "missing-masks",
    33: "corrupt-masks",
    36: "several-series",
}
"""Number of a study -> the name under which it must be set aside."""

GERMAN = (
    "Kein Nachweis eines Rundherdes in der Lunge. Kein Pleuraerguss. Das Herz ist normal groß. "
    "Die Aorta ist nicht erweitert, keine vergrößerten Lymphknoten im Mediastinum."
)

# name in the simulation -> names in a label map of TotalSegmentator
_HALVES = {
    "lung_right": ("lung_lower_lobe_right",),
    "lung_left": ("lung_lower_lobe_left",),
    "trachea_and_airways": ("trachea",),
    "heart": ("heart_ventricle_left", "heart"),
    "aorta": ("aorta",),
    "esophagus": ("esophagus",),
    "liver": ("liver",),
    "spleen": ("spleen",),
    "stomach": ("stomach",),
    "kidney_right": ("kidney_right",),
    "kidney_left": ("kidney_left",),
    "vertebrae": ("vertebrae_T6",),
    "ribs": ("rib_left_4",),
}


def study_name(number: int) -> str:
    return f"CT{number:04d}"


def write_archive(folder: Path) -> Path:
    """Write scans, label maps and ``reports.csv`` below a folder; return the table."""
    scans = folder / "scans"
    scans.mkdir(parents=True)
    rows = []
    for number in range(STUDIES):
        study = _study(number)
        _write_scan(study, number, scans)
        if number % 3 == 0 or PLANTED.get(number, "").startswith(("mask", "unknown", "corrupt-m")):
            _write_masks(study, number, scans)
        rows.append(_row(study, number))
    table = folder / "reports.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return table


@cache
def _body(seed: int) -> SimulatedStudy:
    return simulate_study(seed, spacing_mm=SPACING_MM)


def _study(number: int) -> Study:
    body = _body(number % _BODIES).study
    noise = np.random.default_rng(number).integers(-15, 16, body.volume.voxels.shape)
    voxels = np.maximum(body.volume.voxels + noise, -1024).astype(np.int16)
    volume = type(body.volume)(voxels, body.volume.geometry)
    return Study(volume, body.organ_masks, body.report, study_id=study_name(number))


def _write_scan(study: Study, number: int, scans: Path) -> None:
    fault, name = PLANTED.get(number, ""), study_name(number)
    volume = study.volume
    if fault == "missing-file":
        return
    if fault == "several-series":
        write_dicom_series(study, scans / name / "1")
        other = Study(volume, study_id=f"{name} again")
        write_dicom_series(other, scans / name / "2")
        return
    if number % 4 == 1 and not fault:
        write_dicom_series(study, scans / name)
        return
    voxels = volume.voxels
    if fault == "rescaled-twice":
        voxels = (voxels - 1024).astype(np.int16)
    if fault == "not-hounsfield":
        voxels = (voxels + 1024).astype(np.int16)
    path = write_nifti(scans / f"{name}.nii.gz", voxels, volume.geometry)
    if fault == "corrupt-file":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _write_masks(study: Study, number: int, scans: Path) -> None:
    assert study.organ_masks is not None
    fault = PLANTED.get(number, "")
    table = TOTALSEGMENTATOR_V1 if number % 2 else TOTALSEGMENTATOR_V2
    labels = renumbered(study, table)
    geometry = study.volume.geometry
    if fault == "unknown-label-scheme":
        labels = (study.organ_masks.labels * 7).astype(np.uint8)
    if fault == "mask-grid-mismatch":
        affine = geometry.affine.copy()
        affine[:3, 3] += 5000.0
        geometry = Geometry(geometry.shape, affine)
    path = scans / f"{study_name(number)}_seg.nii.gz"
    write_nifti(path, labels, geometry)
    if fault == "corrupt-masks":
        path.write_bytes(gzip.compress(b"no label map"))


def renumbered(study: Study, table: Mapping[int, str]) -> npt.NDArray[np.uint8]:
    """Return a simulated study's labels under the numbers of TotalSegmentator 1 or 2."""
    assert study.organ_masks is not None
    number_of = {name: number for number, name in table.items()}
    labels = np.zeros(study.organ_masks.labels.shape, np.uint8)
    for name, parts in _HALVES.items():
        part = next((p for p in parts if p in number_of), None)
        if part is not None and name in study.organ_masks.legend:
            labels[study.organ_masks.mask(name)] = number_of[part]
    return labels


def write_nifti(path: Path, array: npt.NDArray[np.generic], geometry: Geometry) -> Path:
    """Write an array (z, y, x) as NIfTI, axes as inside the package."""
    image = nibabel.Nifti1Image(array, geometry.affine)
    image.header.set_xyzt_units("mm")
    image.to_filename(path)
    return path


def _row(study: Study, number: int) -> dict[str, str]:
    fault, name = PLANTED.get(number, ""), study_name(number)
    assert study.report is not None
    row = {
        "Accession": name,
        "Patient": f"P{number // 2:03d}" if fault != "patient-in-two-splits" else "P-twice",
        "Findings": study.report.findings,
        "Impression": study.report.impression,
        "Emphysema": "1" if "emphysema" in study.report.impression.lower() else "0",
        "Split": "",
        "Masks": "",
    }
    if fault == "foreign-report":
        row |= {"Findings": GERMAN, "Impression": ""}
    if fault == "empty-report":
        row |= {"Findings": " ", "Impression": "n/a"}
    if fault == "patient-in-two-splits":
        row["Split"] = "train" if number % 2 else "valid"
    if fault == "missing-masks":
        row["Masks"] = "nowhere_seg.nii.gz"
    return row


COLUMNS = (
    "study=Accession",
    "patient=Patient",
    "findings=Findings",
    "impression=Impression",
    "split=Split",
    "masks=Masks",
    "label:emphysema=Emphysema",
)

"""Every Python snippet of the documentation is run as a test, in a folder that has its files."""

from __future__ import annotations

import csv
from pathlib import Path

import nibabel
import numpy as np
import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

import napari_ctclip as ctclip
from napari_ctclip.core.anatomy_table import read_anatomy_table

_NAME = "CT0001"
_COARSE_MM = (5.0, 5.0, 5.0)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with ``scan.nii.gz``, and ``set/`` prepared from it."""
    folder = tmp_path_factory.mktemp("snippets")
    study = ctclip.simulate_study(3, spacing_mm=_COARSE_MM).study
    assert study.organ_masks is not None
    assert study.report is not None
    (folder / "scans").mkdir()
    for path in (folder / "scan.nii.gz", folder / "scans" / f"{_NAME}.nii.gz"):
        _write(study.volume, path)
    ctclip.write_organ_masks(
        study.organ_masks, study.volume, folder / "scans" / f"{_NAME}_seg.nii.gz"
    )
    with (folder / "reports.csv").open("w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table)
        writer.writerow(("study", "patient", "findings", "impression"))
        writer.writerow((_NAME, "P1", study.report.findings, study.report.impression))
    source = ctclip.ArchiveSource(folder / "scans", layout="table", reports=folder / "reports.csv")
    parts = dict(read_anatomy_table().only(("heart", "lung")).parts)
    store = ctclip.StoreSpecification(spacing_mm=(2, 2, 2), anatomies=tuple(parts), parts=parts)
    options = ctclip.PreparationOptions(valid=0.0)
    ctclip.prepare(source, folder / "set", store=store, options=options)
    return folder


def _write(volume: ctclip.Volume, path: Path) -> None:
    image = nibabel.Nifti1Image(np.asarray(volume.voxels), volume.geometry.affine)
    image.header.set_xyzt_units("mm")
    image.to_filename(path)


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["*.md"],
    fixtures=["in_their_folder"],
).pytest()


@pytest.fixture
def in_their_folder(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a snippet where its files lie."""
    monkeypatch.chdir(files)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give all snippets of a page to one worker: later ones need, or skip by, those before."""
    for item in items:
        if item.path.suffix == ".md":
            item.add_marker(pytest.mark.xdist_group(item.path.name))

"""Every Python snippet of the documentation is run as a test, in a folder that has its files."""

from __future__ import annotations

import csv
from pathlib import Path

import nibabel
import numpy as np
import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

from napari_ctclip.core.anatomy_table import read_anatomy_table
from napari_ctclip.core.volume import Volume
from napari_ctclip.io.export.exports import write_organ_masks
from napari_ctclip.io.store.study_record import StoreSpecification
from napari_ctclip.preparation.preparation import Options, plan_preparation, prepare
from napari_ctclip.preparation.sources.archive import Source, draft_of
from napari_ctclip.simulation.study_simulation import simulate_study

_NAME = "CT0001"
_COARSE_MM = (5.0, 5.0, 5.0)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with ``scan.nii.gz``, and ``set/`` prepared from it."""
    folder = tmp_path_factory.mktemp("snippets")
    study = simulate_study(3, spacing_mm=_COARSE_MM).study
    assert study.organ_masks is not None
    assert study.report is not None
    (folder / "scans").mkdir()
    for path in (folder / "scan.nii.gz", folder / "scans" / f"{_NAME}.nii.gz"):
        _write(study.volume, path)
    write_organ_masks(study.organ_masks, study.volume, folder / "scans" / f"{_NAME}_seg.nii.gz")
    with (folder / "reports.csv").open("w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table)
        writer.writerow(("study", "patient", "findings", "impression"))
        writer.writerow((_NAME, "P1", study.report.findings, study.report.impression))
    source = Source(folder / "scans", layout="table", reports=folder / "reports.csv")
    options = Options(valid=0.0)
    parts = dict(read_anatomy_table().only(("heart", "lung")).parts)
    specification = StoreSpecification(spacing_mm=(2, 2, 2), anatomies=tuple(parts), parts=parts)
    prepare(
        plan_preparation(draft_of(source), options), folder / "set", specification, options=options
    )
    return folder


def _write(volume: Volume, path: Path) -> None:
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

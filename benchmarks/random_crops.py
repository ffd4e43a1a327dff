"""Random crops of a training set: from the store, against reading the .nii.gz they came from."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np

from napari_ctclip.core.study import Study
from napari_ctclip.io.ct.read import read_volume
from napari_ctclip.io.store.manifest_entry import ManifestEntry
from napari_ctclip.io.store.study_record import StoreSpecification
from napari_ctclip.io.store.study_store import StudyStore, create_store
from napari_ctclip.preparation.study_preparation import prepare_study
from napari_ctclip.preprocessing.spatial import on_model_grid

_CROP = 96
_SPACING_MM = (2.0, 1.0, 1.0)
_CROPS, _FILES_READ = 40, 3


def run(study: Study) -> dict[str, str]:
    """Return the benchmark's lines."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scan = folder / "scan.nii.gz"
        volume = study.volume
        _write(scan, volume.voxels, volume.geometry.affine)
        specification = StoreSpecification(spacing_mm=_SPACING_MM)
        store = create_store(folder / "store", specification)
        start = time.perf_counter()
        rejection = prepare_study(
            ManifestEntry(study_id="scan", patient_id="scan", image=scan), store.folder
        )
        assert rejection is None, rejection
        preparing = time.perf_counter() - start
        prepared = folder / "prepared.nii.gz"
        whole = store.whole("scan")
        _write(prepared, whole.voxels, whole.geometry.affine)
        rng = np.random.default_rng(0)
        seconds = {
            "store": _mean(lambda: _from_store(store, rng), _CROPS),
            "nifti": _mean(lambda: _from_nifti(scan, rng), _FILES_READ),
            "prepared": _mean(lambda: _from_prepared(prepared, rng), _FILES_READ),
        }
    shape = " x ".join(map(str, whole.voxels.shape))
    return {
        f"prepare a study for training ({shape} stored, no masks)": f"{preparing:.1f} s",
        f"random crop of {_CROP}^3 from the store": f"{1000 * seconds['store']:.1f} ms",
        "  against read .nii.gz and resample (aim >= 20)": _ratio(seconds, "nifti"),
        "  against read the prepared grid as .nii.gz": _ratio(seconds, "prepared"),
    }


def _write(path: Path, voxels: np.ndarray, affine: np.ndarray) -> None:
    image = nibabel.Nifti1Image(np.ascontiguousarray(voxels.T), affine[:, [2, 1, 0, 3]])
    image.to_filename(path)


def _from_store(store: StudyStore, rng: np.random.Generator) -> None:
    shape = store.geometry("scan").shape
    start = [int(rng.integers(0, n - _CROP + 1)) for n in shape]
    store.crop("scan", start, [s + _CROP for s in start])


def _from_nifti(path: Path, rng: np.random.Generator) -> None:
    """Read, check and resample a scan as a loader without a store has to, and cut a crop."""
    voxels, _ = on_model_grid(read_volume(path).volume, "IPL", _SPACING_MM)
    _cut(voxels, rng)


def _from_prepared(path: Path, rng: np.random.Generator) -> None:
    _cut(np.asarray(nibabel.load(path).dataobj), rng)


def _cut(voxels: np.ndarray, rng: np.random.Generator) -> None:
    start = [int(rng.integers(0, n - _CROP + 1)) for n in voxels.shape]
    voxels[tuple(slice(s, s + _CROP) for s in start)].copy()


def _mean(work: Callable[[], None], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - start) / times


def _ratio(seconds: dict[str, float], other: str) -> str:
    return f"{seconds[other] / seconds['store']:.0f} x ({seconds[other]:.2f} s)"

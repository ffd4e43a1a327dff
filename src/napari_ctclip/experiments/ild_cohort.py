"""ILD cohort: simulated patients with patterns of interstitial lung disease, as files."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path

from napari_ctclip.core.study import Study
from napari_ctclip.io.export.exports import write_nifti_slices, write_organ_masks
from napari_ctclip.io.store.manifest import write_manifest
from napari_ctclip.io.store.manifest_entry import ManifestEntry, Split
from napari_ctclip.simulation.ild_patterns import ILD_SPACING_MM, pattern_report, simulate_pattern
from napari_ctclip.simulation.ild_reports import PATTERNS

__all__ = ["write_ild_cohort"]

CohortProgress = Callable[[int, int], None]
"""Called with (studies done, studies in all)."""


def write_ild_cohort(
    folder: Path,
    *,
    train: int,
    test: int,
    seed: int = 0,
    spacing_mm: tuple[float, float, float] = ILD_SPACING_MM,
    workers: int = 1,
    progress: CohortProgress | None = None,
) -> Path:
    """Write CTs, lung masks and a manifest; return the manifest.

    Patterns alternate, so each has as many patients; the reports of the test split are written
    too. Studies whose files are there already are not made again.

    Parameters
    ----------
    folder : Path
        Made if it does not exist.
    train, test : int
        Patients of each split.
    seed : int
        Of the first patient; the others follow.
    spacing_mm : tuple of float
        Voxel spacing (z, y, x).
    workers : int
        Processes.
    progress : callable, optional
        Called after every study.
    """
    splits: list[Split] = ["train" if n < train else "test" for n in range(train + test)]
    make = partial(_write_study, folder.absolute(), seed, spacing_mm)
    entries: list[ManifestEntry] = []
    spawning = get_context("spawn")
    with ProcessPoolExecutor(
        workers, mp_context=spawning, initializer=_end_with_the_parent
    ) as pool:
        for entry in pool.map(make, range(len(splits)), splits):
            entries.append(entry)
            if progress is not None:
                progress(len(entries), len(splits))
    manifest = folder / "manifest.jsonl"
    write_manifest(entries, manifest)
    return manifest


def _end_with_the_parent() -> None:
    """End this worker when the process that started it is gone, by whatever signal.

    A worker waits for tasks for ever: nobody tells it that the one who gives them is dead.
    """

    def wait() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, name="end-with-the-parent", daemon=True).start()


def _write_study(
    folder: Path,
    first_seed: int,
    spacing_mm: tuple[float, float, float],
    number: int,
    split: Split,
) -> ManifestEntry:
    pattern = PATTERNS[number % len(PATTERNS)]
    name = f"ild-{first_seed + number:05d}"
    image, masks = folder / f"{name}.nii.gz", folder / f"{name}_organs.nii.gz"
    if not (image.exists() and masks.exists()):
        study = simulate_pattern(first_seed + number, pattern, spacing_mm=spacing_mm)
        _write_files(study, image, masks)
    report = pattern_report(first_seed + number, pattern)
    return ManifestEntry(
        study_id=name,
        patient_id=name,
        image=image,
        masks=masks,
        findings=report.findings,
        impression=report.impression,
        organ_sentences={"lung": f"{report.findings} {report.impression}"},
        organ_normal={"lung": pattern == "Normal"},
        labels={p: 1 if p == pattern else 0 for p in PATTERNS},
        split=split,
    )


def _write_files(study: Study, image: Path, masks: Path) -> None:
    voxels = study.volume.voxels
    write_nifti_slices(
        (voxels[:, :, k] for k in range(voxels.shape[2])),
        study.volume.geometry,
        image,
        dtype="int16",
        description="napari-ctclip simulated CT",
    )
    assert study.organ_masks is not None, "simulated studies have masks"
    write_organ_masks(study.organ_masks, study.volume, masks)

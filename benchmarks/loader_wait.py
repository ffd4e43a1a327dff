"""How long a training step of fVLM waits for its crops, which threads read from the store ahead."""

from __future__ import annotations

import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.fvlm_step import CROP, FvlmStep
from napari_ctclip.core.study import Study
from napari_ctclip.io.store.manifest_entry import ManifestEntry
from napari_ctclip.io.store.study_record import StoreSpecification, StudyRecord
from napari_ctclip.io.store.study_store import create_store, write_study
from napari_ctclip.models.fvlm import FVLM_ANATOMIES, FVLM_PREPROCESSING
from napari_ctclip.preprocessing.spatial import on_model_grid
from napari_ctclip.pretraining.data.caption_findings import CaptionReader
from napari_ctclip.pretraining.data.draws import StudyDraws, batches_of
from napari_ctclip.pretraining.data.random_crops import CropOptions
from napari_ctclip.pretraining.data.stored_studies import StoredStudies
from napari_ctclip.pretraining.data.study_choice import ChosenStudy

_STEPS, _BATCH, _WORKERS = 4, 2, 2
_CROPS = 8


def run(study: Study) -> dict[str, str]:
    """Return the benchmark's lines: the share of a step that waits, and what a crop takes."""
    with tempfile.TemporaryDirectory() as name:
        source = _stored(study, Path(name))
        rng = np.random.default_rng(0)
        started = time.perf_counter()
        for _ in range(_CROPS):
            source.sample(0, rng)
        crop = (time.perf_counter() - started) / _CROPS
        seconds, waited, first = _trained(source)
    return {
        f"crop of {' x '.join(map(str, CROP))} with 4 masks from the store": f"{crop:.2f} s",
        f"fVLM step on these, batch {_BATCH}, bf16, {_WORKERS} threads ahead": f"{seconds:.1f} s",
        "  share of it that waits for data (the first step apart)": f"{waited / seconds:.2%}",
        "  the first step waits": f"{first:.2f} s",
        "  shortest step that a thread feeds without a wait": f"{crop * _BATCH:.2f} s",
    }


def _trained(source: StoredStudies) -> tuple[float, float, float]:
    """Return mean seconds of a step and of its wait, and the wait of the first, as the loop does.

    The loader is the loop's own; it makes the next crops while the step computes.
    """
    step = FvlmStep("ours bf16", _BATCH)
    waits, steps = [], []
    draws = StudyDraws(source, _BATCH, seed=0)
    batches = batches_of(draws, steps=range(_STEPS + 1), workers=_WORKERS)
    for _ in range(_STEPS + 1):
        asked = time.perf_counter()
        batch = next(batches)
        waits.append(time.perf_counter() - asked)
        step.take(images=batch.images)
        steps.append(time.perf_counter() - asked)
    return sum(steps[1:]) / _STEPS, sum(waits[1:]) / _STEPS, waits[0]


def _stored(study: Study, folder: Path) -> StoredStudies:
    """Return a source of random crops of the scan, stored on fVLM's grid with four anatomies."""
    asked = FVLM_PREPROCESSING
    voxels, grid = on_model_grid(study.volume, asked.orientation, asked.spacing_mm)
    labels = np.zeros(grid.shape, dtype=np.uint8)
    edges = np.linspace(0, grid.shape[1], len(FVLM_ANATOMIES) + 1).astype(int)
    for number, (start, stop) in enumerate(pairwise(edges), start=1):
        labels[4:-4, start + 4 : stop - 4, 8:-8] = number
    specification = StoreSpecification(
        orientation=asked.orientation, spacing_mm=asked.spacing_mm, anatomies=FVLM_ANATOMIES
    )
    store = create_store(folder / "store", specification)
    names = tuple(f"scan {number}" for number in range(_BATCH))
    for name in names:
        record = StudyRecord(
            study_id=name,
            specification=store.hash,
            fingerprint="",
            shape=grid.shape,
            affine=tuple(tuple(row) for row in grid.affine.tolist()),  # type: ignore[arg-type]
            source_spacing_mm=study.volume.geometry.spacing_mm,
        )
        write_study(store, record, image=np.rint(voxels).astype(np.int16), labels=labels)
    chosen = [
        ChosenStudy(ManifestEntry(study_id=name, patient_id=name, image=folder / name), grid.shape)
        for name in names
    ]
    return StoredStudies(
        store,
        chosen,
        preprocessing=asked,
        crops=CropOptions(FVLM_ANATOMIES, CROP, flip=0.2),
        reader=CaptionReader(FVLM_ANATOMIES, None),
    )

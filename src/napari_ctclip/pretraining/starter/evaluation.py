"""Evaluation of the bundled models: simulated patches as studies, a checkpoint's calibration."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tomli_w
import torch

from napari_ctclip.core.errors import DataError
from napari_ctclip.evaluation.calibration import fit_platt
from napari_ctclip.evaluation.evaluate_studies import score_table
from napari_ctclip.evaluation.score_studies import StudyScorer, score_studies, stored_scores
from napari_ctclip.evaluation.simulated_cohort import EVALUATION_SEED, simulated_cohort
from napari_ctclip.evaluation.study_source import LoadedPicture
from napari_ctclip.evaluation.task_files import TaskSet, read_tasks
from napari_ctclip.io.files import write_text
from napari_ctclip.models.factory import load_model
from napari_ctclip.models.interface import Calibration, VisionLanguageModel
from napari_ctclip.models.published.slice_model import SliceModel
from napari_ctclip.pretraining.starter.patch_batches import PatchSampler
from napari_ctclip.pretraining.starter.patch_pool import PATCH_FINDINGS, make_pool
from napari_ctclip.pretraining.starter.token_targets import TISSUES

__all__ = [
    "SIMULATED_PATCHES",
    "SimulatedPatch",
    "calibrate_checkpoint",
    "patches_of",
    "simulated_patches",
]

SIMULATED_PATCHES = "simulated-patches:"
"""Prefix of a manifest of simulated patches, e.g. ``simulated-patches:1200``."""

_BATCH = 64


@dataclass(frozen=True, eq=False)
class SimulatedPatch:
    """One patch, or a montage of some, as a study of an evaluation.

    Attributes
    ----------
    study_id, patient_id : str
        Named after the seed and the patch's number.
    labels : mapping of str to 0, 1 or None
        1 where the finding is seen, 0 where normal lung is seen without it, else unknown.
    channels : ndarray, shape (C, H, W), float32
        As the model sees it.
    split : str
        ``"test"``.
    """

    study_id: str
    patient_id: str
    labels: Mapping[str, int | None]
    channels: npt.NDArray[np.float32]
    split: str = "test"

    def load(self, *, quick_masks: bool) -> LoadedPicture:
        """Return the picture."""
        return LoadedPicture(self.channels)

    def fingerprint(self) -> list[Any]:
        """Return the patch's name."""
        return [self.study_id]


def patches_of(manifest: str) -> int:
    """Return the number of patches of ``simulated-patches:1200``.

    Raises
    ------
    DataError
        If it names no number above 0.
    """
    count = manifest.removeprefix(SIMULATED_PATCHES)
    if not count.isdigit() or not int(count):
        raise DataError(
            f"{manifest!r}: expected the number of patches, e.g. {SIMULATED_PATCHES}1200"
        )
    return int(count)


def simulated_patches(
    model: VisionLanguageModel,
    *,
    slices: int = 600,
    patches: int = 1200,
    seed: int = EVALUATION_SEED,
) -> list[SimulatedPatch]:
    """Return patches as a 2D model sees them, one in eight a montage.

    Parameters
    ----------
    model : VisionLanguageModel
        A model of pictures: its HU windows and picture size are used.
    slices, patches : int
        Simulated slices of lung, and the least number of patches that are cut from them.
    seed : int
        Of both.

    Raises
    ------
    DataError
        If the model is one of volumes.
    """
    if not isinstance(model, SliceModel):
        raise DataError(
            f"{model.name!r} embeds no patches; choose starter-2d or an open_clip model"
        )
    pool = make_pool(slices=slices, chests=0, per_chest=0, seed=seed)
    sampler = PatchSampler(
        pool, windows_hu=model.preprocessing.windows_hu, image_size=model.image_size[0]
    )
    rng = np.random.default_rng([seed, 1])
    drawn = [sampler.draw(_BATCH, rng) for _ in range(-(-patches // _BATCH))]
    images = torch.cat([batch.image for batch in drawn]).numpy()
    shown = torch.cat([batch.seen for batch in drawn]).numpy()
    names = [f"patch-{seed}-{number:05d}" for number in range(len(images))]
    return [
        SimulatedPatch(name, name, _labels(seen), image)
        for name, seen, image in zip(names, shown, images, strict=True)
    ]


def _labels(seen: npt.NDArray[Any]) -> dict[str, int | None]:
    normal = seen[len(PATCH_FINDINGS) + TISSUES.index("lung")] == 1
    return {
        finding: 1 if seen[number] == 1 else (0 if normal else None)
        for number, finding in enumerate(PATCH_FINDINGS)
    }


_SOURCE = "simulated chest CT with each finding queried in its own region"


def calibrate_checkpoint(folder: Path, seeds: Sequence[int], *, out: Path) -> Calibration:
    """Return the calibration of a model folder, after writing it into ``model.toml``.

    One curve for all findings, queried by their names: what a text not among them would score is
    not known to be calibrated.

    Parameters
    ----------
    folder : Path
        The checkpoint.
    seeds : sequence of int
        Of simulated validation studies.
    out : Path
        Studies and their answers are kept there.
    """
    cohort = simulated_cohort(seeds, out / "simulated")
    scorer = StudyScorer(load_model(folder), _by_name(read_tasks("simulated_phrasings")))
    score_studies(scorer, cohort, {}, folder=out / "studies")
    scored, _ = stored_scores(scorer, cohort, {}, folder=out / "studies")
    table = score_table(cohort, scored, scorer.tasks.labels)
    known = np.isfinite(table.similarity)
    source = f"{len(cohort)} {_SOURCE}"
    calibration = fit_platt(table.truth[known] > 0.5, table.similarity[known], source=source)
    file = folder / "model.toml"
    description = tomllib.loads(file.read_text("utf-8"))
    description["calibration"] = asdict(calibration)
    write_text(file, tomli_w.dumps(description), durable=True)
    return calibration


def _by_name(tasks: TaskSet) -> TaskSet:
    """Return one task a finding, of all sizes and in its own name alone."""
    named = {
        task.positives[0]: replace(task, label=task.positives[0], phrasings=(), in_mean=True)
        for task in tasks.tasks
    }
    return replace(tasks, tasks=tuple(named.values()))

"""Examination: simulated studies that a model in training, or a trained one, answers about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_ctclip.core.anatomy import members
from napari_ctclip.encoding.encoding import EncodedScan, restored_scan
from napari_ctclip.encoding.organ_crops import anatomy_labels
from napari_ctclip.evaluation.localisation import Localisation, localise
from napari_ctclip.evaluation.score_table import ScoreTable
from napari_ctclip.evaluation.task_files import TaskSet, ZeroShotTask
from napari_ctclip.experiments.plan import Reading
from napari_ctclip.models.towers.locked_tower import LockedTower3d
from napari_ctclip.preprocessing.specification import ModelInput, Preprocessing
from napari_ctclip.regions.token_grid import (
    THORACIC_CAVITY,
    TokenRegions,
    body_tokens,
    token_regions,
)
from napari_ctclip.scoring.readout import token_index
from napari_ctclip.scoring.region_scores import region_scores
from napari_ctclip.scoring.similarity import contrast, softmax_probability
from napari_ctclip.simulation import SimulatedStudy

__all__ = ["ExaminedStudy", "examined_studies", "locate_findings", "score_studies"]


@dataclass(frozen=True, eq=False)
class ExaminedStudy:
    """One simulated study, ready to be asked about.

    Attributes
    ----------
    split : str
        ``"valid"`` or ``"test"``.
    simulated : SimulatedStudy
        With its findings and their voxels.
    prepared : ModelInput
        Grid and field of view of what every arm's model sees; its voxels are in ``image``.
    image : Tensor (1, C, D, H, W)
        As the models see it, or what their locked tower made of it ahead.
    masks : Tensor (1, R, D, H, W) bool
        Of the anatomies that arms were trained with.
    """

    split: str
    simulated: SimulatedStudy
    prepared: ModelInput
    image: Tensor
    masks: Tensor


def examined_studies(
    simulated_studies: Iterable[SimulatedStudy],
    *,
    split: str,
    preprocessing: Preprocessing,
    anatomies: Sequence[str],
    tower: LockedTower3d | None = None,
) -> list[ExaminedStudy]:
    """Return simulated studies as they are asked about, seen by the arms' locked tower if any."""
    studies = []
    for simulated in simulated_studies:
        organs = simulated.study.organ_masks
        assert organs is not None
        prepared = preprocessing.prepare(simulated.study.volume)
        labels = anatomy_labels(organs, prepared.geometry, anatomies)
        masks = [torch.from_numpy(labels == n) for n in range(1, len(anatomies) + 1)]
        image = torch.from_numpy(prepared.image)[None]
        image = image if tower is None else tower.ahead(image)
        # no view of the voxels, which would keep them all
        prepared = replace(prepared, image=np.empty((0, *prepared.image.shape[1:]), np.float32))
        studies.append(ExaminedStudy(split, simulated, prepared, image, torch.stack(masks)[None]))
    return studies


@torch.inference_mode()
def score_studies(
    model: Any,
    studies: Sequence[ExaminedStudy],
    tasks: TaskSet,
    *,
    anatomies: Sequence[str],
    reads: Reading,
) -> ScoreTable:
    """Return what a model answers to every task, from the embedding its method answers from.

    The model is asked as it is at this moment and left in the mode it was in.
    """
    truth = np.zeros((len(studies), len(tasks.tasks)))
    similarity = np.full_like(truth, np.nan)
    places = [_place_of(task, anatomies) for task in tasks.tasks]
    with _answering(model):
        texts = [t for task in tasks.tasks for t in (task.prompt.positive, task.prompt.negative)]
        prompts = model.embed_text(texts).float()  # (2 L, E)
        for row, study in enumerate(studies):
            features = model.encode_image(study.image)
            if reads == "whole":
                vectors = model.embed_global(features).expand(len(anatomies), -1)
                present = torch.ones(len(anatomies), dtype=torch.bool)
            else:
                regions = model.embed_regions(features, study.masks)
                vectors, present = regions.vectors[0], regions.present[0]
            cosines = vectors.float() @ prompts.T  # (R, 2 L)
            values = contrast(cosines[:, 0::2], cosines[:, 1::2]).numpy()
            found = study.simulated.findings_present
            for column, (task, place) in enumerate(zip(tasks.tasks, places, strict=True)):
                truth[row, column] = task.label in found
                if present[place]:
                    similarity[row, column] = values[place, column]
        scale = float(model.logit_scale.exp())
    probability = softmax_probability(torch.from_numpy(similarity), scale).numpy()
    names = tuple(study.simulated.study.study_id for study in studies)
    splits = tuple(study.split for study in studies)
    read_at = tuple(anatomies[place] if reads == "organ" else "whole scan" for place in places)
    return ScoreTable(
        names, names, splits, tasks.labels, truth, similarity, probability, (read_at,) * len(names)
    )


def locate_findings(
    model: Any, studies: Sequence[ExaminedStudy], tasks: TaskSet
) -> list[tuple[str, str, Localisation]]:
    """Return (study, label, place) of every finding that is there, from the heatmap of its name.

    The peak is that of the anatomy the task looks at, as in the viewer.
    """
    found = []
    with _answering(model), torch.inference_mode():
        for study in studies:
            volume, masks = study.simulated.study.volume, study.simulated.study.organ_masks
            assert masks is not None
            scan = restored_scan(model, study.prepared, model.encode_image(study.image))
            scan = scan.within(body_tokens(volume, scan.input_geometry, model.patch_size))
            regions = token_regions(masks, scan.input_geometry, model.patch_size)
            index = token_index(model, scan)
            for task in tasks.tasks:
                if task.label not in study.simulated.findings_present:
                    continue
                place = _localised(model, (study, scan, regions), index, task)
                if place is not None:
                    found.append((study.simulated.study.study_id, task.label, place))
    return found


def _localised(
    model: Any,
    encoded: tuple[ExaminedStudy, EncodedScan, TokenRegions],
    index: Any,
    task: ZeroShotTask,
) -> Localisation | None:
    """Return how the map of a task lies on its finding; None if no token can answer."""
    study, scan, regions = encoded
    similarity_map = index.similarity_map(task.prompt)
    scale = float(model.logit_scale.exp())
    rows = {r.anatomy: r for r in region_scores(similarity_map, regions, scale=scale)}
    mask = study.simulated.finding_mask(task.label)
    if task.anatomies[0] not in rows or not mask.any():
        return None
    return localise(
        similarity_map,
        rows[task.anatomies[0]].peak,
        mask,
        volume_geometry=study.simulated.study.volume.geometry,
        input_geometry=scan.input_geometry,
        patch_size=model.patch_size,
    )


def _place_of(task: ZeroShotTask, anatomies: Sequence[str]) -> int:
    """Return the number of the trained anatomy that a task reads out."""
    wanted = "lung" if task.anatomies[0] == THORACIC_CAVITY else task.anatomies[0]
    return next(n for n, name in enumerate(anatomies) if name == wanted or members(name, [wanted]))


@contextmanager
def _answering(model: Any) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)

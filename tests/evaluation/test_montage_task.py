"""A montage as one picture is asked the classes of a task set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_ctclip.core.errors import DataError
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.evaluation.montage_readout import MontageReadout, study_montage
from napari_ctclip.evaluation.montage_task import classify_montage
from napari_ctclip.evaluation.task_files import TaskSet, ZeroShotTask, read_tasks, shipped_tasks
from napari_ctclip.preprocessing.intensity import window_channels
from napari_ctclip.regions.patches import PatchPlan
from napari_ctclip.testing import TinyModel
from tests.models.small_open_clip import small_open_clip
from tests.phantom import ball_study

TASKS = TaskSet(
    "spots",
    "",
    "made up",
    (
        ZeroShotTask("ball", ("bright ball", "white nodule"), ("no ball",), ("lung",)),
        ZeroShotTask("hole", ("dark hole",), ("no hole",), ("lung",)),
        ZeroShotTask("none", ("normal lung",), ("disease",), ("lung",)),
    ),
)
PLAN = PatchPlan(size_mm=24)


@pytest.fixture(scope="module")
def model():
    return small_open_clip("resnet")


def montage_of(model, readout: MontageReadout, study=None):
    study, cache = study or ball_study(), FeatureCache(limit_bytes=0)
    return study_montage(model, study, TASKS, readout, cache=cache)


@torch.inference_mode()
def _unit(model, texts) -> np.ndarray:
    mean = model.embed_text(list(texts)).mean(dim=0)
    return (mean / mean.norm()).numpy()


def test_classes_that_exclude_each_other_are_the_softmax_of_clip(model) -> None:
    montage = montage_of(model, MontageReadout(grid=(2, 2), plan=PLAN))
    found = classify_montage(model, montage, replace(TASKS, exclusive=True))
    channels = window_channels(montage.hounsfield, model.preprocessing.windows_hu)
    with torch.inference_mode():
        picture = model.embed_patches(torch.from_numpy(channels)[None]).numpy()[0]
    logits = float(model.logit_scale.detach().exp()) * np.array(
        [_unit(model, task.positives) @ picture for task in TASKS.tasks]
    )
    expected = np.exp(logits) / np.exp(logits).sum()
    assert [one.probability for one in found.classes] == pytest.approx(expected, abs=1e-5)
    assert sum(one.probability for one in found.classes) == pytest.approx(1, abs=1e-5)
    assert [one.label for one in found.classes] == ["ball", "hole", "none"]


def test_other_classes_are_held_against_their_own_negatives(model) -> None:
    montage = montage_of(model, MontageReadout(grid=(2, 2), plan=PLAN))
    found = classify_montage(model, montage, TASKS).classes
    channels = window_channels(montage.hounsfield, model.preprocessing.windows_hu)
    with torch.inference_mode():
        picture = model.embed_patches(torch.from_numpy(channels)[None]).numpy()[0]
    for one, task in zip(found, TASKS.tasks, strict=True):
        difference = (_unit(model, task.positives) - _unit(model, task.negatives)) @ picture
        assert one.similarity == pytest.approx(difference, abs=1e-5)


def test_montage_that_is_not_square_keeps_the_form_of_its_tiles(model) -> None:
    montage = montage_of(model, MontageReadout(grid=(1, 2), plan=PLAN))
    square = replace(
        montage,
        hounsfield=np.vstack([montage.hounsfield, np.full_like(montage.hounsfield, -1024)]),
        grid=(2, 2),
    )
    long, filled = (classify_montage(model, m, TASKS).classes for m in (montage, square))
    assert [one.similarity for one in long] == pytest.approx([one.similarity for one in filled])


def test_patches_drawn_by_chance_are_the_same_for_every_model(model) -> None:
    readout = MontageReadout(grid=(2, 2), plan=PLAN)
    places = [p.centre_mm for p in montage_of(model, readout).patches]
    other = small_open_clip("vit", seed=4)
    assert places == [p.centre_mm for p in montage_of(other, readout).patches]
    ranked = replace(readout, ranked=True)
    assert places != [p.centre_mm for p in montage_of(model, ranked).patches]


def test_model_of_volumes_reads_no_montage() -> None:
    with pytest.raises(DataError, match="starter-2d"):
        montage_of(TinyModel(), MontageReadout(grid=(2, 2), plan=PLAN))


@pytest.mark.parametrize("name", ["ild_patterns", "simulated_ild"])
def test_sets_of_patterns_exclude_each_other_and_have_a_class_for_none(name: str) -> None:
    tasks = read_tasks(name)
    assert tasks.exclusive
    assert any("normal" in text for text in tasks.tasks[-1].positives)
    assert name in shipped_tasks()

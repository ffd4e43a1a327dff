from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from napari_ctclip.core.errors import Cancelled, DataError
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.encoding.work import Work
from napari_ctclip.regions.patches import PatchPlan
from napari_ctclip.scoring.encoded_patches import encode_study_patches
from napari_ctclip.scoring.patch_scores import PatchPrompts, patch_scores
from tests.models.small_open_clip import small_open_clip
from tests.phantom import ball_study

PLAN = PatchPlan(24.0, organ="lung")
SCALE = 20.0


def _unit(count: int, seed: int) -> torch.Tensor:
    return functional.normalize(
        torch.randn(count, 8, generator=torch.Generator().manual_seed(seed)), dim=1
    )


VECTORS, TARGETS, CONTROLS = _unit(11, 0), _unit(3, 1), _unit(2, 2)


def _scores(**options: str) -> torch.Tensor:
    prompts = PatchPrompts(("a", "b", "c"), ("d", "e"), **options)
    return patch_scores(VECTORS, TARGETS, CONTROLS, scale=SCALE, prompts=prompts)


def test_contrast_is_pooled_targets_less_the_mean_control() -> None:
    cosines, against = VECTORS @ TARGETS.T, (VECTORS @ CONTROLS.T).mean(dim=1)
    assert torch.allclose(_scores(pooling="max"), cosines.max(dim=1).values - against)
    smooth = (SCALE * cosines).exp().mean(dim=1).log() / SCALE
    assert torch.allclose(_scores(), smooth - against, atol=1e-5)
    assert torch.allclose(_scores(mode="cosine"), smooth, atol=1e-5)


def test_softmax_is_the_probability_of_any_target() -> None:
    logits = SCALE * VECTORS @ torch.cat([TARGETS, CONTROLS]).T
    expected = logits.exp()[:, :3].sum(dim=1) / logits.exp().sum(dim=1)
    assert torch.allclose(_scores(mode="softmax"), expected, atol=1e-5)


def test_one_wording_given_twice_counts_once() -> None:
    prompts = PatchPrompts((" lung  nodule", "lung nodule", ""), ("normal lung",))
    assert prompts.targets == ("lung nodule",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"targets": (" ",)}, "at least one target"),
        ({"targets": ("a",), "controls": ()}, "needs a control"),
        ({"targets": ("a",), "mode": "sum"}, "no mode 'sum'"),
        ({"targets": ("a",), "pooling": "mean"}, "no pooling 'mean'"),
    ],
)
def test_prompts_that_cannot_rank_are_refused(options: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        PatchPrompts(**options)


def test_cosine_needs_no_control() -> None:
    assert PatchPrompts(("a",), (), mode="cosine").controls == ()


def test_patches_come_from_the_cache_the_second_time(tmp_path: Path) -> None:
    model, cache = small_open_clip("resnet"), FeatureCache(tmp_path)
    first = encode_study_patches(model, ball_study(), PLAN, work=Work(cache))
    again = encode_study_patches(model, ball_study(), PLAN, work=Work(cache))
    assert not first.from_cache
    assert again.from_cache
    assert torch.allclose(first.vectors, again.vectors, atol=2e-3)
    assert np.array_equal(first.grid.centres, again.grid.centres)
    prompts = PatchPrompts(("bright",), ("dark",))
    scores = again.scores(model, prompts)
    assert scores.shape == (len(again.grid),)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    "other",
    [
        PatchPlan(30.0, organ="lung"),
        PatchPlan(24.0, 6.0, organ="lung"),
        PatchPlan(24.0, organ="lung_left"),
    ],
)
def test_other_patches_are_another_entry(other: PatchPlan, tmp_path: Path) -> None:
    model, cache = small_open_clip("resnet"), FeatureCache(tmp_path)
    encode_study_patches(model, ball_study(), PLAN, work=Work(cache))
    assert not encode_study_patches(model, ball_study(), other, work=Work(cache)).from_cache


def test_cancelled_encoding_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        encode_study_patches(
            small_open_clip("resnet"),
            ball_study(),
            PLAN,
            work=Work(FeatureCache(tmp_path), should_stop=lambda: True),
        )
    assert not list(tmp_path.iterdir())

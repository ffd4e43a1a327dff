"""The ranking loss is low where what is ill ranks above what is healthy, vessels above all."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_ctclip.pretraining.starter.patch_losses import ranking_loss
from napari_ctclip.pretraining.starter.patch_pool import PATCH_FINDINGS
from napari_ctclip.pretraining.starter.token_targets import TISSUES

F = len(PATCH_FINDINGS)
LUNG, VESSEL = F + TISSUES.index("lung"), F + TISSUES.index("vessel")
TEXTS, NORMAL = torch.eye(F + 1)[:F], torch.eye(F + 1)[F]
SCALE = torch.tensor(10.0)


def loss(vectors: torch.Tensor, seen: torch.Tensor, scale: torch.Tensor = SCALE) -> torch.Tensor:
    return ranking_loss(vectors, seen, TEXTS, NORMAL, scale, np.random.default_rng(0))


def nodule_and_healthy() -> torch.Tensor:
    """Return what is seen in a picture of a nodule and in one of normal lung."""
    seen = torch.zeros(2, F + len(TISSUES), dtype=torch.int8)
    seen[0, 0] = seen[1, LUNG] = 1
    return seen


def test_loss_is_the_logistic_one_of_the_difference_of_both_scores() -> None:
    seen = nodule_and_healthy()
    right = loss(torch.stack([TEXTS[0], NORMAL]), seen)
    wrong = loss(torch.stack([NORMAL, TEXTS[0]]), seen)
    # scores are 1 and -1: two apart, at a scale of 10
    assert float(right) == pytest.approx(np.log1p(np.exp(-20)), abs=1e-6)
    assert float(wrong) == pytest.approx(20, abs=1e-3)


def test_findings_count_alike_however_many_show_them() -> None:
    seen = torch.zeros(12, F + len(TISSUES), dtype=torch.int8)
    seen[0, 0] = 1  # one nodule, ranked too low
    seen[1:11, 6] = 1  # ten with emphysema, ranked well
    seen[11, LUNG] = 1
    vectors = torch.cat([NORMAL[None], TEXTS[6].expand(10, -1), NORMAL[None]])
    assert float(loss(vectors, seen)) == pytest.approx(np.log(2) / 2, abs=1e-3)


def test_half_of_what_a_finding_is_held_against_is_vessels() -> None:
    many = 4000
    seen = torch.zeros(many + 1, F + len(TISSUES), dtype=torch.int8)
    seen[0, 0] = 1
    seen[1:, LUNG] = 1
    seen[1:201, VESSEL] = 1
    vectors = torch.cat([TEXTS[:1], NORMAL.expand(many, -1)]).clone()
    vectors[1:201] = TEXTS[0]  # every vessel looks like a nodule
    share = float(loss(vectors, seen)) / np.log(2)
    assert 0.5 <= share < 0.56  # by chance alone it were 0.05


def test_without_ill_or_healthy_nothing_is_asked_and_the_scale_is_not_trained() -> None:
    vectors = torch.rand(2, F + 1, requires_grad=True)
    nothing = loss(vectors, torch.zeros(2, F + len(TISSUES), dtype=torch.int8))
    nothing.backward()
    assert nothing == 0
    assert (vectors.grad == 0).all()
    scale = torch.tensor(3.0, requires_grad=True)
    loss(vectors, nodule_and_healthy(), scale).backward()
    assert scale.grad is None
    assert vectors.grad.abs().sum() > 0

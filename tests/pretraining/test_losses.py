"""The one contrastive loss equals CLIP's, and keeps its promises about groups and negatives."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from napari_ctclip.pretraining.losses import contrastive_loss, sigmoid_loss


@pytest.fixture
def similarity():
    generator = torch.Generator().manual_seed(0)
    image, text = (
        functional.normalize(torch.randn(6, 8, generator=generator), dim=-1) for _ in range(2)
    )
    return image @ text.T


def test_identity_targets_give_the_loss_of_open_clip():
    from open_clip.loss import ClipLoss

    image, text = (functional.normalize(torch.randn(7, 16), dim=-1) for _ in range(2))
    expected = ClipLoss()(image, text, torch.tensor(14.3))
    ours = contrastive_loss(image @ text.T, torch.eye(7), 14.3)
    assert torch.allclose(ours, expected, rtol=1e-6)


def test_sigmoid_loss_is_that_of_open_clip():
    from open_clip.loss import SigLipLoss

    image, text = (functional.normalize(torch.randn(7, 16), dim=-1) for _ in range(2))
    scale, bias = torch.tensor(9.0), torch.tensor(-10.0)
    expected = SigLipLoss()(image, text, scale, bias)
    ours = sigmoid_loss(image @ text.T, torch.eye(7), scale, bias=bias)
    assert torch.allclose(ours, expected, rtol=1e-6)


def test_a_negative_that_is_none_leaves_the_scale_a_finite_gradient(similarity):
    scale = torch.tensor(5.0, requires_grad=True)
    negatives = torch.tensor([[0.1, -torch.inf]] * 6)
    contrastive_loss(similarity, torch.eye(6), scale, negatives=negatives).backward()
    assert torch.isfinite(scale.grad)


def test_rows_compete_only_inside_their_group(similarity):
    group = torch.tensor([0, 1, 0, 1, 0, 1])
    together = contrastive_loss(similarity, torch.eye(6), 5.0, group=group, reduction="group_sum")
    apart = sum(
        contrastive_loss(similarity[group == g][:, group == g], torch.eye(3), 5.0) for g in (0, 1)
    )
    assert torch.allclose(together, apart)
    mean = contrastive_loss(similarity, torch.eye(6), 5.0, group=group)
    assert torch.allclose(mean, apart / 2)


def test_soft_targets_are_normalised_in_both_directions(similarity):
    targets = (torch.rand(6, 6) > 0.5).float() + torch.eye(6)
    rows = -(targets / targets.sum(1, keepdim=True) * (5 * similarity).log_softmax(1)).sum(1)
    columns = -(targets / targets.sum(0) * (5 * similarity).log_softmax(0)).sum(0)
    expected = (rows.mean() + columns.mean()) / 2
    assert torch.allclose(contrastive_loss(similarity, targets, 5.0), expected)


def test_extra_negatives_raise_the_loss_and_absent_ones_do_not(similarity):
    plain = contrastive_loss(similarity, torch.eye(6), 5.0)
    none = torch.full((6, 2), -torch.inf)
    assert torch.allclose(contrastive_loss(similarity, torch.eye(6), 5.0, negatives=none), plain)
    near = torch.full((6, 2), 0.9)
    assert contrastive_loss(similarity, torch.eye(6), 5.0, negatives=near) > plain


def test_groups_and_absent_negatives_leave_finite_gradients(similarity):
    similarity.requires_grad_()
    negatives = torch.tensor([[0.1, -torch.inf]] * 6)
    loss = contrastive_loss(
        similarity, torch.eye(6), 5.0, group=torch.arange(6) % 3, negatives=negatives
    )
    loss.backward()
    assert torch.isfinite(similarity.grad).all()


def test_shapes_that_do_not_fit_are_refused(similarity):
    with pytest.raises(ValueError, match="one shape"):
        contrastive_loss(similarity, torch.eye(5), 5.0)
    with pytest.raises(ValueError, match="negatives"):
        contrastive_loss(similarity, torch.eye(6), 5.0, negatives=torch.zeros(5, 2))

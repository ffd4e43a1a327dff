"""Dropout on a CPU: what it costs changes, what it computes does not."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from napari_ctclip.models.towers import dropout
from napari_ctclip.models.towers.vit3d import FastDropout, TokenVit3d, dropout_attention


def _parts(dtype: torch.dtype, *, length: int = 37) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(2, 3, length, 8, dtype=dtype, requires_grad=True) for _ in range(3)]


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(dropout, "_BLOCK", 37 * 10)  # four blocks a head, the last one shorter


def _masks(p: float, seed: int, parts: list[torch.Tensor]) -> torch.Tensor:
    """Return the masks (2, 3, L, L) of an attention, from values that are ones."""
    torch.manual_seed(seed)
    q, k, _ = parts
    L = q.shape[2]
    eye = torch.eye(L, dtype=q.dtype).expand(2, 3, L, L)
    with torch.no_grad():
        weighted = dropout_attention(q, k, eye, dropout=p)
    return (weighted != 0).to(q.dtype)


def test_attention_equals_softmax_times_its_mask_gradients_included(small_blocks):
    p, parts = 0.3, _parts(torch.float64)
    torch.manual_seed(5)
    found = dropout_attention(*parts, dropout=p)
    found.square().sum().backward()
    gradients = [part.grad.clone() for part in parts]
    mask = _masks(p, 5, parts)
    assert mask.mean() == pytest.approx(1 - p, abs=0.02)
    q, k, v = (part.detach().requires_grad_() for part in parts)
    weights = (q @ k.mT / 8**0.5).softmax(dim=-1) * mask / (1 - p)
    expected = weights @ v
    expected.square().sum().backward()
    assert torch.allclose(found, expected, atol=1e-12)
    for gradient, part in zip(gradients, (q, k, v), strict=True):
        assert torch.allclose(gradient, part.grad, atol=1e-10)


def test_attention_in_bfloat16_is_as_near_as_pytorchs_own(small_blocks):
    exact = _parts(torch.float64)
    mask = _masks(0.2, 1, exact)
    truth = ((exact[0] @ exact[1].mT / 8**0.5).softmax(dim=-1) * mask / 0.8) @ exact[2]
    torch.manual_seed(1)
    half = [part.detach().bfloat16() for part in exact]
    found = dropout_attention(*half, dropout=0.2)
    assert found.dtype == torch.bfloat16
    assert (found.double() - truth).abs().max() < 0.03


def test_without_dropout_attention_is_pytorchs():
    parts = _parts(torch.float32)
    own = functional.scaled_dot_product_attention(*parts)
    assert torch.equal(dropout_attention(*parts, dropout=0.0), own)


def test_dropout_keeps_the_share_and_the_mean():
    layer = FastDropout(0.1).train()
    torch.manual_seed(0)
    out = layer(torch.ones(500, 1001))
    assert (out == 0).float().mean() == pytest.approx(0.1, abs=0.002)
    assert out.mean() == pytest.approx(1.0, abs=0.003)
    assert out.max() == pytest.approx(1 / 0.9)
    # neighbours, which share a random number, are dropped independently
    gone = (out == 0).float()
    assert (gone[:, :-1] * gone[:, 1:]).mean() == pytest.approx(0.01, abs=0.001)
    assert torch.equal(layer.eval()(out), out)


def test_compiled_layer_draws_the_same_masks() -> None:
    layer = FastDropout(0.5).train()
    compiled = torch.compile(layer, backend="eager")
    outputs = []
    for call in (layer, compiled):
        torch.manual_seed(0)
        outputs.append(call(torch.ones(64, 65)))
    assert torch.equal(outputs[0], outputs[1])
    assert 0.4 < (outputs[0] == 0).float().mean() < 0.6


def test_masks_follow_the_seed_of_torch_and_nothing_else():
    vit = TokenVit3d(
        width=16, depth=2, heads=2, mlp_width=32, patch_size=(4, 4, 4), position_grid=(2, 4, 4),
        level_blocks=(), dropout=0.5,
    ).train()  # fmt: skip
    image = torch.rand(1, 1, 8, 16, 16)
    outputs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outputs.append(vit(image))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


def test_patches_are_cut_by_one_product_that_equals_the_convolution():
    vit = TokenVit3d(
        in_channels=2, width=12, depth=1, heads=2, mlp_width=8, patch_size=(2, 4, 8),
        position_grid=(3, 2, 2), level_blocks=(),
    )  # fmt: skip
    embedding = vit.patch_embedding
    image = torch.randn(2, 2, 6, 8, 16)
    tokens, grid = embedding(image)
    conv: nn.Conv3d = embedding.patch_embeddings
    expected = conv(image).flatten(2).transpose(1, 2) + embedding.position_embeddings
    assert grid == (3, 2, 2)
    assert torch.allclose(tokens, expected, atol=1e-5)

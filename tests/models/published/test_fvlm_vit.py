from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.models.towers.vit3d import VisionTransformer3d
from tests.paths import SHARED

GOLDEN = SHARED / "golden" / "fvlm_vit_small.npz"
PATCH = (16, 16, 32)


def test_golden_vit_gives_the_released_token_maps() -> None:
    if not GOLDEN.is_file():
        pytest.skip(f"golden values of the released ViT (3 MB) are not at {GOLDEN}")
    with np.load(GOLDEN) as file:
        arrays = {name: torch.from_numpy(file[name]) for name in file.files}
    vit = VisionTransformer3d(width=48, heads=4, mlp_width=96).eval()
    vit.load_state_dict({n.removeprefix("sd."): t for n, t in arrays.items() if n[:3] == "sd."})
    with torch.inference_mode():
        levels = vit(arrays["x"])
    assert len(levels) == 4
    for level, expected in zip(levels, arrays["hidden"], strict=True):
        tokens = level.flatten(2).transpose(1, 2)
        assert torch.allclose(tokens, expected, rtol=1e-4, atol=1e-5)
    assert torch.allclose(levels[-1].flatten(2).transpose(1, 2), arrays["y"], rtol=1e-4, atol=1e-5)


def test_blocks_equal_torchs_own_pre_norm_layers() -> None:
    torch.manual_seed(0)
    vit = VisionTransformer3d(width=16, heads=2, mlp_width=24, depth=3, level_blocks=(0,)).eval()
    x = torch.randn(2, 10, 16)
    expected = x
    for block in vit.blocks:
        layer = nn.TransformerEncoderLayer(
            16, 2, 24, activation="gelu", batch_first=True, norm_first=True
        ).eval()
        layer.load_state_dict(
            {
                "self_attn.in_proj_weight": block.attn.qkv.weight,
                "self_attn.in_proj_bias": block.attn.qkv.bias,
                "self_attn.out_proj.weight": block.attn.out_proj.weight,
                "self_attn.out_proj.bias": block.attn.out_proj.bias,
                "linear1.weight": block.mlp.linear1.weight,
                "linear1.bias": block.mlp.linear1.bias,
                "linear2.weight": block.mlp.linear2.weight,
                "linear2.bias": block.mlp.linear2.bias,
                "norm1.weight": block.norm1.weight,
                "norm1.bias": block.norm1.bias,
                "norm2.weight": block.norm2.weight,
                "norm2.bias": block.norm2.bias,
            }
        )
        expected = layer(expected)
    found = x
    for block in vit.blocks:
        found = block(found)
    assert torch.allclose(found, expected, atol=1e-5)


def test_tokens_lie_where_their_voxels_are() -> None:
    vit = VisionTransformer3d(width=8, heads=2, mlp_width=8, depth=1, level_blocks=()).eval()
    dark = torch.zeros(1, 1, 32, 48, 96)
    lit = dark.clone()
    lit[0, 0, 20, 40, 70] = 50.0  # behind token (1, 2, 2)
    change = (vit.patch_embedding(lit)[0] - vit.patch_embedding(dark)[0]).norm(dim=2)
    assert int(change.argmax()) == int(np.ravel_multi_index((1, 2, 2), (2, 3, 3)))
    assert int((change > 0).sum()) == 1


def test_released_grid_takes_the_position_table_as_it_is() -> None:
    vit = VisionTransformer3d(width=8, heads=2, mlp_width=8, depth=1, level_blocks=())
    embedding = vit.patch_embedding
    assert embedding._positions((7, 16, 11)) is embedding.position_embeddings
    assert embedding._positions((7, 18, 11)).shape == (1, 7 * 18 * 11, 8)


@pytest.mark.parametrize("shape", [(1, 1, 30, 64, 64), (1, 2, 32, 64, 64), (1, 32, 64, 64)])
def test_image_that_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    vit = VisionTransformer3d(width=8, heads=2, mlp_width=8, depth=1, level_blocks=())
    with pytest.raises(CtClipError, match="multiples of"):
        vit(torch.zeros(shape))

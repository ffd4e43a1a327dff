from __future__ import annotations

import pytest
import torch
from torch import Tensor

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.models.published.open_clip_adapter import untrained_open_clip
from napari_ctclip.models.published.slice_model import SliceModel
from napari_ctclip.models.towers.slice_towers import _positions, slice_tower
from tests.models.small_open_clip import TOWERS, model_cfg, small_open_clip

CONVOLUTIONS = ("resnet", "timm-convnext", "timm-resnet")


def _read(model: SliceModel, images: Tensor) -> tuple[Tensor, Tensor]:
    with torch.inference_mode():
        return model._tower(images)


def _forget_places(model: SliceModel, images: Tensor) -> None:
    """Make all tokens of a uniform picture equal: no positions, the class token like a place."""
    visual = model.clip.visual
    trunk = getattr(visual, "trunk", None)
    with torch.no_grad():
        if hasattr(visual, "attnpool"):
            visual.attnpool.positional_embedding.zero_()
        elif hasattr(visual, "conv1"):
            visual.positional_embedding.zero_()
            visual.class_embedding.copy_(visual.conv1(images)[0, :, 0, 0])
        elif trunk is not None and getattr(trunk, "pos_embed", None) is not None:
            trunk.pos_embed.zero_()
            if trunk.cls_token is not None:
                trunk.cls_token.copy_(trunk.patch_embed(images)[0, 0, 0])
            if trunk.reg_token is not None:
                trunk.reg_token.copy_(trunk.patch_embed(images)[0, 0, 0].expand_as(trunk.reg_token))


@pytest.mark.parametrize("tower", TOWERS)
def test_whole_is_what_the_model_itself_says_of_the_picture(tower: str) -> None:
    model = small_open_clip(tower)
    images = torch.randn(2, 3, *model.image_size)
    _, whole = _read(model, images)
    with torch.inference_mode():
        own = model.clip.visual(images)
    assert torch.allclose(whole, own, atol=1e-6)


@pytest.mark.parametrize("tower", TOWERS)
def test_where_all_tokens_are_equal_every_place_says_what_the_whole_says(tower: str) -> None:
    model = small_open_clip(tower)
    # a convolution sees the border: there one place is all of the picture
    size = (32, 32) if tower in CONVOLUTIONS else model.image_size
    images = torch.full((1, 3, *size), 0.7)
    _forget_places(model, images)
    places, whole = _read(model, images)
    assert torch.allclose(places, whole[:, :, None, None].expand_as(places), atol=1e-5)
    assert whole.abs().max() > 0.01


@pytest.mark.parametrize("tower", ["vit", "vit-other-blocks"])
def test_places_are_the_last_block_with_each_token_attending_to_itself_only(tower: str) -> None:
    model = small_open_clip(tower)
    visual = model.clip.visual
    images = torch.randn(2, 3, 64, 64)
    places, _ = _read(model, images)
    with torch.inference_mode():
        *blocks, last = visual.transformer.resblocks
        x = visual._embeds(images)
        for block in blocks:
            x = block(x)
        only_itself = torch.full((17, 17), float("-inf")).fill_diagonal_(0.0)
        expected = visual.ln_post(last(x, attn_mask=only_itself))[:, 1:] @ visual.proj
    assert torch.allclose(places.flatten(2).transpose(1, 2), expected, atol=1e-5)


def test_reading_a_tower_out_leaves_its_weights_and_statistics_alone() -> None:
    model = small_open_clip("timm-resnet").train()
    before = {name: tensor.clone() for name, tensor in model.clip.state_dict().items()}
    slice_tower(model.clip.visual)
    assert model.clip.visual.trunk.training
    after = model.clip.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_places_differ_where_the_picture_does() -> None:
    images = torch.zeros(1, 3, 64, 64)
    images[:, :, 16:32, 32:48] = 2.0
    for tower in ("vit", "resnet", "coca"):
        places, _ = _read(small_open_clip(tower), images)
        assert places.flatten(2).std(dim=2).max() > 1e-4, tower


@pytest.mark.parametrize("tower", TOWERS)
def test_larger_picture_than_trained_on_gives_more_places(tower: str) -> None:
    model = small_open_clip(tower)
    stride, (height, width) = model.patch_size[1], model.image_size
    places, whole = _read(model, torch.randn(1, 3, 2 * height, 3 * width))
    assert places.shape[2:] == (2 * height // stride, 3 * width // stride)
    assert torch.isfinite(places).all()
    assert torch.isfinite(whole).all()


def test_positions_of_a_larger_picture_lie_between_those_of_the_trained_one() -> None:
    model = small_open_clip("vit")
    visual = model.clip.visual
    with torch.no_grad():  # left to right, in the first channel only
        grid = torch.arange(4.0).expand(4, 4)
        visual.positional_embedding[1:].zero_()
        visual.positional_embedding[1:, 0] = grid.reshape(-1)
    resized = _positions(visual.positional_embedding, (4, 4), (8, 8))[0, 1:, 0].reshape(8, 8)
    assert torch.allclose(resized, resized[:1].expand_as(resized), atol=1e-6)
    assert (resized[0].diff() > 0).all()
    assert torch.equal(
        _positions(visual.positional_embedding, (4, 4), (4, 4))[0, 1:, 0], grid.reshape(-1)
    )


@pytest.mark.parametrize("name", ["swin_tiny_patch4_window7_224", "eva02_tiny_patch14_224"])
def test_tower_that_cannot_be_read_out_is_named(name: str) -> None:
    vision = {"timm_model_name": name, "timm_pool": "avg", "timm_proj": "linear", "image_size": 224}
    with pytest.raises(CtClipError, match=r"no heatmap can be read out of timm's (Swin|Eva)"):
        untrained_open_clip(model_cfg("timm-vit") | {"vision_cfg": vision})

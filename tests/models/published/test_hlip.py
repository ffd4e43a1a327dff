from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from napari_ctclip.core.errors import CheckpointMismatch, CtClipError
from napari_ctclip.models.interface import assert_implements
from napari_ctclip.models.published.hlip import HLIP_PREPROCESSING, Hlip
from napari_ctclip.models.published.hlip_checkpoint import import_hlip, load_hlip
from napari_ctclip.models.published.hlip_network import HlipNetwork
from tests.models.random_weights import fill_with_named_weights
from tests.models.small_fvlm import write_text_folder
from tests.models.small_hlip import WIDTH, released_hlip, small_hlip
from tests.paths import DATA

pytest.importorskip("transformers", reason="HLIP's text encoder needs transformers")

CASE = DATA / "hlip_case.npz"


@pytest.fixture
def model(tmp_path: Path) -> Hlip:
    return small_hlip(write_text_folder(tmp_path / "texts"), grid=(3, 4, 5))


@torch.inference_mode()
def test_network_gives_the_numbers_of_the_released_design() -> None:
    # timm's VisionTransformer with the release's regrouping of tokens, named weights, this image
    network = HlipNetwork(
        width=WIDTH, depth=6, heads=2, mlp_width=256, grid=(3, 2, 2), scan_blocks=(2, 5)
    ).eval()
    fill_with_named_weights(network)
    values = np.random.default_rng(1).standard_normal((2, 1, 24, 48, 48), dtype=np.float32)
    tokens, first = (part.flatten(2).transpose(1, 2) for part in network(torch.from_numpy(values)))
    found = network.finish(torch.cat([first, tokens], dim=1))
    assert torch.allclose(found, torch.from_numpy(np.load(CASE)["embedding"]), atol=1e-5)


@torch.inference_mode()
def test_import_keeps_every_tensor_and_what_the_model_says(tmp_path: Path) -> None:
    texts = write_text_folder(tmp_path / "texts")
    original, state = released_hlip(texts)
    torch.save({"epoch": 20, "name": "run", "state_dict": state}, tmp_path / "hlip.pt")
    import_hlip(tmp_path / "hlip.pt", tmp_path / "hlip", text_folder=texts)
    loaded = load_hlip(tmp_path / "hlip")
    assert_implements(loaded)
    assert loaded.preprocessing == HLIP_PREPROCESSING
    assert len(loaded.weights_hash()) == 64
    for name, tensor in original.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    said = loaded.embed_text(["the volume shows: emphysema."])
    assert torch.allclose(said, original.embed_text(["the volume shows: emphysema."]), atol=1e-6)


def test_model_of_several_scans_is_refused_by_the_tensor_that_it_has_more(tmp_path: Path) -> None:
    texts = write_text_folder(tmp_path / "texts")
    _, state = released_hlip(texts)
    state["module.visual.trunk.sequential_posemb"] = torch.zeros(1, 40, WIDTH)
    torch.save({"state_dict": state}, tmp_path / "brain.pt")
    with pytest.raises(CheckpointMismatch, match=r"1 unexpected: visual\.trunk\.sequential_posemb"):
        import_hlip(tmp_path / "brain.pt", tmp_path / "hlip", text_folder=texts)


@torch.inference_mode()
def test_token_alone_takes_the_value_path_of_the_last_block(model: Hlip) -> None:
    features = model.encode_image(torch.rand(1, 1, *model.image_encoder.image_shape))
    last, network = model.image_encoder.blocks[-1], model.image_encoder
    token = features.levels[0][0, :, 1, 2, 3]
    value = last.attn.qkv(last.norm1(token))[2 * WIDTH :]
    x = token + last.attn.proj(value)
    pooled = model.image_projection(network.norm(x + last.mlp(last.norm2(x))))
    dense = model.embed_dense(features)
    assert dense.shape == (1, 16, 3, 4, 5)
    assert torch.allclose(dense[0, :, 1, 2, 3], functional.normalize(pooled, dim=0), atol=1e-5)


@torch.inference_mode()
def test_region_of_everything_is_the_whole_and_an_empty_one_is_absent(model: Hlip) -> None:
    shape = model.image_encoder.image_shape
    features = model.encode_image(torch.rand(2, 1, *shape))
    masks = torch.zeros(2, 2, *shape, dtype=torch.bool)
    masks[:, 0] = True
    regions = model.embed_regions(features, masks)
    assert torch.allclose(regions.vectors[:, 0], model.embed_global(features), atol=1e-5)
    assert regions.present.tolist() == [[True, False]] * 2
    assert not regions.vectors[:, 1].any()


@torch.inference_mode()
def test_values_are_normalised_as_in_its_training(model: Hlip) -> None:
    seen = []
    model.image_encoder.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    model.encode_image(torch.full((1, 1, *model.image_encoder.image_shape), 0.675))
    assert torch.allclose(seen[0], torch.tensor(1.0))


def test_image_of_another_shape_is_refused(model: Hlip) -> None:
    with pytest.raises(CtClipError, match=r"expected images \(B, 1, \*\(24, 96, 120\)\)"):
        model.encode_image(torch.zeros(1, 1, 24, 96, 96))

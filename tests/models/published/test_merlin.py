from __future__ import annotations

import json
from pathlib import Path

import monai.transforms as mt
import nibabel as nib
import numpy as np
import pytest
import torch
from torch.nn import functional

from napari_ctclip.core.errors import CheckpointMismatch, CtClipError
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.io.ct.read import read_volume
from napari_ctclip.models.interface import FeatureMap, assert_implements
from napari_ctclip.models.published.merlin import MERLIN_PREPROCESSING, Merlin
from napari_ctclip.models.published.merlin_checkpoint import import_merlin, load_merlin
from napari_ctclip.models.published.merlin_network import MerlinNetwork
from tests.models.random_weights import fill_with_named_weights
from tests.models.small_merlin import released_merlin, small_merlin, write_longformer_folder
from tests.paths import DATA

pytest.importorskip("transformers", reason="Merlin's text encoder needs transformers")

CASE = DATA / "merlin_case.npz"


@pytest.fixture
def model(tmp_path: Path) -> Merlin:
    return small_merlin(write_longformer_folder(tmp_path / "texts"))


@torch.inference_mode()
def test_network_gives_the_numbers_of_the_released_code(tmp_path: Path) -> None:
    # merlin-vlm 0.0.6, I3ResNet of bottlenecks (1, 2, 1, 2), the same named weights and image
    network = MerlinNetwork(layers=(1, 2, 1, 2)).eval()
    fill_with_named_weights(network)
    image = torch.from_numpy(np.random.default_rng(1).random((1, 1, 64, 32, 48), dtype=np.float32))
    own = network(image.permute(0, 1, 4, 2, 3))[:, :, ::2, ::2, ::2]
    embedding = network.contrastive_head(own.mean(dim=(2, 3, 4), keepdim=True)).flatten(1)
    expected = torch.from_numpy(np.load(CASE)["embedding"])
    assert torch.allclose(embedding, expected, atol=1e-5)


@torch.inference_mode()
def test_import_keeps_every_tensor_and_what_the_model_says(tmp_path: Path) -> None:
    texts = write_longformer_folder(tmp_path / "texts")
    original, state = released_merlin(texts)
    torch.save(state, tmp_path / "merlin.pt")
    import_merlin(tmp_path / "merlin.pt", tmp_path / "merlin", text_folder=texts)
    loaded = load_merlin(tmp_path / "merlin")
    assert_implements(loaded)
    assert loaded.preprocessing == MERLIN_PREPROCESSING
    assert len(loaded.weights_hash()) == 64
    for name, tensor in original.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    said = loaded.embed_text(["renal cyst"])
    assert torch.allclose(said, original.embed_text(["renal cyst"]), atol=1e-6)


@torch.inference_mode()
def test_embedding_of_the_whole_is_the_mean_of_what_its_own_places_say(model: Merlin) -> None:
    features = model.encode_image(torch.rand(2, 1, 96, 96, 64))
    head = model.image_encoder.contrastive_head
    shares = head(features.levels[0][:, :, ::2, ::2, ::2]).mean(dim=(2, 3, 4))
    assert features.levels[0].shape == (2, 32, 6, 6, 8)
    assert torch.allclose(model.embed_global(features), functional.normalize(shares), atol=1e-5)


@torch.inference_mode()
def test_token_looks_at_the_middle_of_its_voxels(model: Merlin) -> None:
    # places that know where they look: 16 r, 16 a, 8 s voxels from the first
    axes = (torch.arange(n) * float(p) for n, p in zip((6, 6, 8), (16, 16, 8), strict=True))
    places = torch.zeros(1, 32, 6, 6, 8)
    places[0, :3] = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    head = model.image_encoder.contrastive_head
    head.weight.zero_()
    head.bias.zero_()
    head.weight[:3, :3, 0, 0, 0] = torch.eye(3)
    head.bias[3] = 1.0
    dense = model.embed_dense(FeatureMap((places,)))[0]
    looks_at = (dense[:3] / dense[3])[:, :-1, :-1, :-1].permute(1, 2, 3, 0).numpy()
    grid = Geometry.from_spacing((96, 96, 64), (1.0, 1.0, 1.0))
    tokens = grid.coarsened(model.patch_size)
    index = np.stack(np.meshgrid(range(5), range(5), range(7), indexing="ij"), axis=-1)
    middles = grid.world_to_index(tokens.index_to_world(index.reshape(-1, 3))).reshape(index.shape)
    assert np.abs(looks_at - middles).max() <= 0.51


@torch.inference_mode()
def test_narrow_attention_windows_change_no_answer(model: Merlin) -> None:
    texts = ["cyst", "no acute findings in the abdomen, pelvis or lower chest", "a " * 60]
    encoder = model.text_encoder
    narrow = encoder.encode(texts)
    encoder._look_no_further_than = lambda pieces: None  # type: ignore[method-assign]
    encoder.longformer.config.attention_window = [64, 64]
    for layer in encoder.longformer.encoder.layer:
        layer.attention.self.one_sided_attn_window_size = 32
    wide = torch.cat([encoder.encode([text]) for text in texts])
    assert torch.allclose(narrow, wide, atol=1e-5)
    assert not torch.allclose(narrow[0], narrow[1], atol=1e-2)


@torch.inference_mode()
def test_text_is_lower_case_with_punctuation_apart(model: Merlin) -> None:
    written, plain = model.embed_text(["Pleural effusion, LEFT."]), "pleural effusion , left ."
    assert torch.allclose(written, model.embed_text([plain]), atol=1e-6)


@torch.inference_mode()
def test_region_is_the_mean_of_its_tokens_and_an_empty_one_is_absent(model: Merlin) -> None:
    features = model.encode_image(torch.rand(1, 1, 96, 96, 64))
    masks = torch.zeros(1, 2, 96, 96, 64, dtype=torch.bool)
    masks[0, 0, 20, 40, 60] = True  # one voxel of the token (1, 2, 7)
    regions = model.embed_regions(features, masks)
    dense = model.embed_dense(features)
    assert torch.allclose(regions.vectors[0, 0], dense[0, :, 1, 2, 7], atol=1e-5)
    assert regions.present.tolist() == [[True, False]]
    assert not regions.vectors[0, 1].any()


def test_prepared_scan_is_what_the_transforms_of_its_package_give(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    voxels = rng.integers(-1024, 1500, (250, 200, 90)).astype(np.int16)  # cropped, padded, padded
    affine = np.diag([-1.5, 1.5, 3.0, 1.0])  # stored L, A, S
    nib.save(nib.Nifti1Image(voxels, affine), tmp_path / "ct.nii.gz")
    its_own = mt.Compose(
        [
            mt.LoadImage(ensure_channel_first=True),
            mt.Orientation(axcodes="RAS"),
            mt.Spacing(pixdim=(1.5, 1.5, 3.0), mode="bilinear"),
            mt.ScaleIntensityRange(-1000, 1000, 0.0, 1.0, clip=True),
            mt.SpatialPad((224, 224, 160)),
            mt.CenterSpatialCrop((224, 224, 160)),
        ]
    )(tmp_path / "ct.nii.gz")
    prepared = MERLIN_PREPROCESSING.prepare(read_volume(tmp_path / "ct.nii.gz").volume)
    assert np.allclose(prepared.image, np.asarray(its_own), atol=1e-5)


def test_image_of_another_shape_is_refused(model: Merlin) -> None:
    with pytest.raises(CtClipError, match=r"expected images \(B, 1, \*\(96, 96, 64\)\)"):
        model.encode_image(torch.zeros(1, 1, 96, 96, 32))


def test_vocabulary_of_another_model_is_refused(tmp_path: Path) -> None:
    texts = write_longformer_folder(tmp_path / "texts")
    vocabulary = json.loads((texts / "vocab.json").read_text())
    vocabulary["<s>"], vocabulary["<pad>"] = vocabulary["<pad>"], vocabulary["<s>"]
    (texts / "vocab.json").write_text(json.dumps(vocabulary))
    with pytest.raises(CheckpointMismatch, match=r"gives <s> the id 1, config\.json 0"):
        small_merlin(texts)

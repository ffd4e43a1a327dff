from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_ctclip.core.errors import CheckpointMismatch, CtClipError
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.volume import Volume
from napari_ctclip.models.factory import load_model
from napari_ctclip.models.interface import FeatureMap, assert_implements
from napari_ctclip.models.published.colipri import COLIPRI_PREPROCESSING
from napari_ctclip.models.published.colipri_checkpoint import load_colipri
from tests.models.small_colipri import SIZES, saved_colipri, small_colipri

TEXTS = ["lung nodule", "no lung nodule at all"]


def _scan(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> Volume:
    """Return smooth noise whose lowest value is no air, in no way symmetric."""
    noise = np.random.default_rng(0).normal(0, 3000, shape)
    voxels = ndimage.gaussian_filter(noise, 1.2).clip(-930, 1500).astype(np.int16)
    return Volume(voxels, Geometry.from_spacing(shape, spacing_mm, origin_ras=(50, 40, 100)))


@pytest.mark.parametrize(
    ("shape", "spacing_mm", "stored"),
    [
        ((83, 120, 131), (2.5, 0.7031, 0.7031), "LPS"),  # padded all around
        ((130, 70, 90), (3.3, 7.0, 2.3), "IPL"),  # cropped along two axes, padded along one
        ((1, 50, 60), (5.0, 1.0, 1.0), "IPL"),
    ],
)
def test_image_is_what_the_packages_own_processor_makes_of_the_scan(
    shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], stored: str
) -> None:
    torchio = pytest.importorskip("torchio", reason="COLIPRI's package is not installed")
    processor = pytest.importorskip("colipri").get_processor(image_only=True)
    volume = _scan(shape, spacing_mm)
    transform = volume.geometry.transform_to(stored)
    tensor = torch.from_numpy(transform.apply(volume.voxels).astype(np.float32))[None]
    affine = volume.geometry.reoriented(transform).affine
    theirs = processor.process_images(torchio.ScalarImage(tensor=tensor, affine=affine))[0]
    ours = COLIPRI_PREPROCESSING.prepare(volume)
    assert "".join(theirs.orientation) == "RAS"  # an example in the README prints SAR
    assert np.allclose(2 * ours.image - 1, theirs.data.numpy(), atol=2e-6)
    assert np.allclose(ours.geometry.affine, theirs.affine, atol=1e-6)
    other = replace(COLIPRI_PREPROCESSING, orientation="SAR").prepare(volume).image
    assert not np.allclose(2 * other - 1, theirs.data.numpy(), atol=0.5)


def test_shipped_configuration_is_the_preprocessing_written_here() -> None:
    config = pytest.importorskip("colipri.checkpoint").load_model_config()
    backbone = config.image_encoder.backbone
    assert tuple(backbone.input_shape) == COLIPRI_PREPROCESSING.shape
    assert tuple(backbone.patch_embed_size) == (8, 8, 8)
    assert backbone.input_channels == 1


def test_read_outs_are_the_packages_own(tmp_path: Path) -> None:
    model = small_colipri(tmp_path / "bert")
    image = torch.rand(1, 1, 64, 64, 64)
    network = model.network
    with torch.no_grad():
        features = FeatureMap((network.encode_image(2 * image - 1),))
        dense = network.encode_image(2 * image - 1, project=True, pool=False, normalize=True)
        whole = network.encode_image(2 * image - 1, project=True, pool=True, normalize=True)
        assert torch.allclose(model.embed_dense(features), dense, atol=1e-5)
        assert torch.allclose(model.embed_global(features), whole, atol=1e-5)
        # bfloat16 where the processor has it
        assert torch.allclose(model.encode_image(image).levels[0], features.levels[0], atol=0.1)
    assert dense.shape == (1, SIZES["embedding_width"], 8, 8, 8)
    assert model.patch_size == (8, 8, 8)
    assert float(model.logit_scale.exp()) == pytest.approx(1.0)
    assert_implements(model)


def test_region_of_one_token_is_that_tokens_place_in_the_dense_map(tmp_path: Path) -> None:
    model = small_colipri(tmp_path / "bert")
    features = FeatureMap((torch.randn(1, SIZES["image_width"], 8, 8, 8),))
    masks = torch.zeros(1, 3, 64, 64, 64, dtype=torch.bool)
    masks[0, 0, 20, 40, 9] = True
    masks[0, 1] = True
    with torch.inference_mode():
        regions = model.embed_regions(features, masks)
        dense, whole = model.embed_dense(features), model.embed_global(features)
    assert regions.present.tolist() == [[True, True, False]]
    assert torch.allclose(regions.vectors[0, 0], dense[0, :, 2, 5, 1], atol=1e-5)
    assert torch.allclose(regions.vectors[0, 1], whole[0], atol=1e-5)
    assert not regions.vectors[0, 2].any()


def test_texts_are_embedded_as_the_package_does_with_padding_to_full_length(
    tmp_path: Path,
) -> None:
    model = small_colipri(tmp_path / "bert")
    from transformers import BertTokenizer

    tokenizer = BertTokenizer.from_pretrained(tmp_path / "bert", local_files_only=True)
    padded = tokenizer(TEXTS, max_length=64, padding="max_length", return_tensors="pt")
    with torch.inference_mode():
        own = model.network.encode_text(padded["input_ids"], padded["attention_mask"])
        assert torch.allclose(model.embed_text(TEXTS), own, atol=1e-5)


def test_saved_model_comes_back_whole(tmp_path: Path) -> None:
    folder = saved_colipri(tmp_path)
    model, found = small_colipri(tmp_path / "other"), load_model(folder)
    assert found.weights_hash() == load_colipri(folder).weights_hash()
    assert found.preprocessing.shape == (64, 64, 64)
    assert found.name == "colipri (random weights)"
    assert found.network.state_dict().keys() == model.network.state_dict().keys()


def test_release_without_our_settings_is_known_by_the_names_of_its_weights(tmp_path: Path) -> None:
    folder = saved_colipri(tmp_path)
    (folder / "model.toml").unlink()
    # the shipped sizes now hold: what does not fit is named
    with pytest.raises(CheckpointMismatch, match=r"model\.safetensors does not fit.*another shape"):
        load_model(folder)


def test_settings_that_could_name_code_are_refused(tmp_path: Path) -> None:
    folder = saved_colipri(tmp_path)
    text = (folder / "model.toml").read_text("utf-8")
    (folder / "model.toml").write_text(
        text.replace('kind = "colipri"', 'kind = "colipri"\n_target_ = "os.system"'), "utf-8"
    )
    with pytest.raises(CheckpointMismatch, match="_target_"):
        load_model(folder)


def test_text_encoder_that_is_not_here_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    folder = saved_colipri(tmp_path)
    (folder / "text_encoder").rename(folder / "elsewhere")
    with pytest.raises(CtClipError, match="hf download microsoft/BiomedVLP-CXR-BERT"):
        load_model(folder)


def test_package_with_a_later_timm_is_told_before_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("colipri", reason="COLIPRI's package is not installed")
    monkeypatch.setattr(
        "napari_ctclip.models.published.colipri_checkpoint.version", lambda name: "1.0.31"
    )
    from napari_ctclip.models.published.colipri_checkpoint import untrained_colipri

    with pytest.raises(CtClipError, match=r"needs timm<1\.0\.23, got 1\.0\.31"):
        untrained_colipri(tmp_path)

from __future__ import annotations

import json
from pathlib import Path

import open_clip
import pytest
import torch

from napari_ctclip.core.errors import CheckpointMismatch, CtClipError
from napari_ctclip.models.factory import load_model
from napari_ctclip.models.interface import assert_implements
from napari_ctclip.models.published.open_clip_adapter import (
    load_open_clip,
    save_open_clip,
    untrained_open_clip,
)
from napari_ctclip.models.published.slice_model import SliceModel, slice_preprocessing
from tests.models.small_open_clip import model_cfg, small_bert_open_clip, small_open_clip

TEXTS = ["lung nodule", "no lung nodule"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a saved model; the Hugging Face cache is empty."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    save_open_clip(small_open_clip(), tmp_path / "model")
    return tmp_path / "model"


def _config(folder: Path) -> dict:
    return json.loads((folder / "open_clip_config.json").read_text("utf-8"))


def test_saved_model_is_the_same_for_open_clip_itself(folder: Path) -> None:
    model = small_open_clip()
    own, _, picture = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    images = torch.rand(2, 3, 64, 64)
    normalise = picture.transforms[-1]
    with torch.inference_mode():
        expected = own.eval().encode_image(normalise(images), normalize=True)
        assert torch.equal(model.clip.visual(normalise(images)), own.visual(normalise(images)))
        found = load_open_clip(str(folder)).embed_patches(images)
        texts = own.encode_text(tokenizer(TEXTS), normalize=True)
    assert torch.allclose(model.embed_text(TEXTS), texts, atol=1e-6)
    # bfloat16 where the processor has it
    assert (found * expected).sum(dim=1).min() > 0.999


def test_saved_model_comes_back_with_its_windows_spacing_and_hash(folder: Path) -> None:
    model = small_open_clip()
    own = slice_preprocessing(16, "coronal")
    changed = SliceModel(
        model.clip,
        model.tokenizer,
        config=model.config,
        name="mine",
        preprocessing=type(own).from_dict(own.to_dict() | {"spacing_mm": [3.0, 1.0, 1.0]}),
    )
    save_open_clip(changed, folder)
    found = load_open_clip(f"local-dir:{folder}")
    assert found.name == "mine"
    assert found.preprocessing == changed.preprocessing
    assert found.weights_hash() == load_open_clip(str(folder)).weights_hash()
    with torch.no_grad():
        changed.clip.logit_scale += 1.0
    save_open_clip(changed.train().eval(), folder)
    assert load_open_clip(str(folder)).weights_hash() != found.weights_hash()


def test_model_with_a_bert_loads_offline_from_its_folder_and_in_open_clip(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="BERT towers need transformers")
    model = small_bert_open_clip(tmp_path / "bert")
    save_open_clip(model, tmp_path / "model")
    found = load_model(tmp_path / "model").embed_text(TEXTS)
    own = open_clip.create_model(f"local-dir:{tmp_path / 'model'}").eval()
    tokens = open_clip.get_tokenizer(f"local-dir:{tmp_path / 'model'}")(TEXTS)
    with torch.inference_mode():
        expected = own.encode_text(tokens, normalize=True)
    assert torch.allclose(found, expected, atol=1e-6)
    assert not torch.allclose(found[0], found[1])


def test_tokenizer_from_hugging_face_with_open_clips_own_text_tower_is_saved_too(
    tmp_path: Path,
) -> None:
    pytest.importorskip("transformers", reason="Hugging Face tokenizers need transformers")
    bert = tmp_path / "bert"
    small_bert_open_clip(bert)
    text = model_cfg("timm-siglip")["text_cfg"] | {
        "vocab_size": 64,
        "hf_tokenizer_name": str(bert),
        "pool_type": "last",
    }
    cfg = model_cfg("timm-siglip") | {"text_cfg": text}
    model = untrained_open_clip(cfg, folder=bert).requires_grad_(False)
    save_open_clip(model, tmp_path / "model")
    found = load_open_clip(str(tmp_path / "model"))
    assert torch.allclose(found.embed_text(TEXTS), model.embed_text(TEXTS), atol=1e-6)
    assert found.weights_hash() == model.weights_hash()


def test_text_tower_that_is_not_on_this_machine_is_named(tmp_path: Path, folder: Path) -> None:
    pytest.importorskip("transformers", reason="BERT towers need transformers")
    config = _config(folder)
    config["model_cfg"]["text_cfg"] = {
        "hf_model_name": "some/bert",
        "hf_tokenizer_name": "some/bert",
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(CtClipError, match="hf download some/bert"):
        load_open_clip(str(folder))


@pytest.mark.parametrize("name", ["open_clip:ViT-B-32/openai", "hf-hub:some/model"])
def test_weights_that_are_not_here_are_not_downloaded(name: str, folder: Path) -> None:
    with pytest.raises(CtClipError, match=r"not on this machine.*hf download"):
        load_model(name)


def test_name_without_trained_weights_is_refused_and_its_tags_are_listed() -> None:
    with pytest.raises(CtClipError, match=r"random ones mean nothing.*openai"):
        load_model("open_clip:ViT-B-32")
    with pytest.raises(CtClipError, match="no architecture 'ViT-Z'"):
        load_model("open_clip:ViT-Z/openai")


def test_cached_tag_is_loaded_with_the_activation_it_was_trained_with(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = folder / "open_clip_model.safetensors"
    monkeypatch.setattr(
        "napari_ctclip.models.published.open_clip_adapter.cached_file",
        lambda repository, files: weights,
    )
    monkeypatch.setattr(
        "open_clip.get_model_config",
        lambda name: _config(folder)["model_cfg"] | {"quick_gelu": False},
    )
    model = load_open_clip("open_clip:ViT-B-32/openai")
    assert model.name == "open_clip:ViT-B-32/openai"
    assert type(model.clip.visual.transformer.resblocks[0].mlp.gelu).__name__ == "QuickGELU"
    assert model.mean.flatten().tolist() == pytest.approx([0.48145466, 0.4578275, 0.40821073])


def test_image_tower_that_would_be_looked_up_online_is_refused(folder: Path) -> None:
    config = _config(folder)
    config["model_cfg"]["vision_cfg"] = {"timm_model_name": "hf_hub:some/model", "image_size": 64}
    (folder / "open_clip_config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(CheckpointMismatch, match="would be looked up online"):
        load_open_clip(str(folder))


def test_renamed_key_is_named(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = folder / "open_clip_model.safetensors"
    state = load_file(file)
    state["visual.other"] = state.pop("visual.proj")
    save_file(state, file)
    with pytest.raises(
        CheckpointMismatch, match=r"1 missing: visual\.proj; 1 unexpected: visual\.o"
    ):
        load_open_clip(str(folder))


def test_weights_of_another_shape_are_named(folder: Path) -> None:
    config = _config(folder)
    config["model_cfg"]["embed_dim"] = 32
    (folder / "open_clip_config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(CheckpointMismatch, match=r"of another shape.*expected \(64, 32\)"):
        load_open_clip(str(folder))


@pytest.mark.parametrize("damage", ["cut", "config", "architecture", "no weights"])
def test_damaged_folder_is_one_clear_error(folder: Path, damage: str) -> None:
    file, config = folder / "open_clip_model.safetensors", folder / "open_clip_config.json"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:1000])
    elif damage == "no weights":
        file.unlink()
    elif damage == "config":
        config.write_text("{", "utf-8")
    else:
        content = _config(folder)
        content["model_cfg"]["vision_cfg"]["depth"] = 3
        config.write_text(json.dumps(content), "utf-8")
    with pytest.raises(CheckpointMismatch) as caught:
        load_model(folder)
    assert str(folder.name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pickle_in_place_of_weights_is_never_executed(folder: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple:
            return Path.touch, (folder / "executed",)

    (folder / "open_clip_model.safetensors").unlink()
    torch.save({"state_dict": Bomb()}, folder / "open_clip_pytorch_model.bin")
    with pytest.raises(CheckpointMismatch, match=r"open_clip_pytorch_model\.bin cannot be loaded"):
        load_open_clip(str(folder))
    assert not (folder / "executed").exists()


def test_model_keeps_the_contract_and_embeds_in_one_space() -> None:
    model = small_open_clip()
    assert_implements(model)
    with torch.inference_mode():
        features = model.encode_image(torch.rand(1, 3, 5, 64, 96))
        dense = model.embed_dense(features)
        whole = model.embed_global(features)
        masks = torch.zeros(1, 2, 5, 64, 96, dtype=torch.bool)
        masks[0, 0, 2, 20, 40] = True
        regions = model.embed_regions(features, masks)
    assert dense.shape == (1, 24, 5, 4, 6)
    assert torch.allclose(dense.norm(dim=1), torch.ones(1, 5, 4, 6), atol=1e-5)
    assert torch.allclose(whole.norm(dim=1), torch.ones(1), atol=1e-5)
    assert regions.present.tolist() == [[True, False]]
    assert torch.allclose(regions.vectors[0, 0], dense[0, :, 2, 1, 2], atol=1e-5)
    assert model.embed_text(TEXTS).shape == (2, 24)


def test_plane_in_the_name_turns_the_slices(folder: Path) -> None:
    assert load_model(f"{folder}@coronal").preprocessing.orientation == "PIL"
    assert load_model(f"local-dir:{folder}@sagittal").preprocessing.orientation == "LIP"
    assert load_model(folder).preprocessing.orientation == "IPL"
    with pytest.raises(CheckpointMismatch, match="no open_clip model: only those take @coronal"):
        load_model("starter@coronal")

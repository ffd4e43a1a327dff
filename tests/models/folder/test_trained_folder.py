"""A trained model's folder opens as it was written, or says what does not fit."""

from __future__ import annotations

import pytest
import torch

from napari_ctclip.core.errors import CheckpointMismatch
from napari_ctclip.models.factory import load_model
from napari_ctclip.models.text.text_batches import in_length_buckets, length_buckets
from tests.pretraining.tiny_run import text_folder, tiny_assembly, tiny_batch, tiny_recipe


@pytest.fixture
def texts(tmp_path):
    return text_folder(tmp_path / "texts")


def written(method, texts, folder):
    assembly = tiny_assembly(tiny_recipe(method, texts))
    weights = {f"trained.{name}": t for name, t in assembly.trained.state_dict().items()}
    assembly.export(weights, folder, {"steps": 1, "nothing": None})
    return assembly


@pytest.mark.parametrize("method", ["siglip", "ct_glip", "lrclr", "fvlm"])
def test_folder_opens_with_the_same_answers(method, texts, tmp_path):
    model = written(method, texts, tmp_path / "model").trained.eval()
    loaded = load_model(tmp_path / "model")
    loaded.own_autocast = False  # of a dual encoder: compare float32 with float32
    images = tiny_batch(2, cubes=method == "ct_glip").images
    with torch.no_grad():
        features = model.encode_image(images)
        assert torch.equal(loaded.embed_text(["small nodule"]), model.embed_text(["small nodule"]))
        assert torch.allclose(
            loaded.encode_image(images).levels[-1], features.levels[-1], atol=1e-5
        )
        assert torch.allclose(loaded.embed_dense(features), model.embed_dense(features), atol=1e-6)
    assert loaded.weights_hash()
    assert loaded.preprocessing == model.preprocessing


def test_weights_of_another_model_are_refused_by_name(texts, tmp_path):
    written("clip", texts, tmp_path / "clip")
    written("siglip", texts, tmp_path / "siglip")
    (tmp_path / "clip" / "weights.safetensors").rename(tmp_path / "siglip" / "weights.safetensors")
    with pytest.raises(CheckpointMismatch, match="logit_bias"):
        load_model(tmp_path / "siglip")


def test_a_missing_file_is_named(texts, tmp_path):
    written("clip", texts, tmp_path / "clip")
    (tmp_path / "clip" / "weights.safetensors").unlink()
    with pytest.raises(CheckpointMismatch, match=r"weights\.safetensors"):
        load_model(tmp_path / "clip")


def test_buckets_hold_every_text_once_and_little_padding():
    lengths = [3, 90, 4, 88, 3, 10, 91, 12]
    buckets = length_buckets(lengths)
    assert sorted(place for bucket in buckets for place in bucket) == list(range(8))
    for bucket in buckets:
        longest = max(lengths[place] for place in bucket)
        assert sum(longest - lengths[place] for place in bucket) <= 0.15 * longest * len(bucket)
    assert len(buckets) < len(lengths)


def test_texts_come_back_in_their_order():
    rows = [[5, 6, 7], [1], [2, 3], [9]]
    summed = in_length_buckets(rows, lambda ids, real: (ids * real).sum(dim=1, keepdim=True))
    assert summed[:, 0].tolist() == [18, 1, 5, 9]

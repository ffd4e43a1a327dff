"""A model folder comes back as it was, or is refused by name."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import tomli_w
import torch
from safetensors.torch import load_file, save_file

from napari_ctclip.core.errors import CheckpointMismatch
from napari_ctclip.models.factory import load_model
from napari_ctclip.models.interface import Calibration
from tests.models.small_model import saved_small_model, small_model


@pytest.fixture
def folder(tmp_path):
    model = small_model()
    model.calibration = Calibration(3.0, -1.0, "a test")
    return saved_small_model(tmp_path / "model", model)


def test_a_saved_model_answers_the_same(folder):
    before, after = small_model().eval(), load_model(folder)
    image = torch.rand(1, 4, 32, 32, 32)
    with torch.no_grad():
        for model in (before, after):
            model.vector = model.embed_dense(model.encode_image(image))[0, :, 3, 4, 5]
    assert float(before.vector @ after.vector) > 0.999
    assert torch.allclose(
        before.embed_text(["lung nodule"]), after.embed_text(["lung nodule"]), atol=1e-2
    )
    assert after.calibration == Calibration(3.0, -1.0, "a test")
    assert after.background_prompts == ("normal lung",)
    assert after.preprocessing == before.preprocessing
    assert after.patch_size == (2, 2, 2)


def test_weights_that_do_not_fit_are_named(folder):
    weights = load_file(folder / "weights.safetensors")
    del weights["image_encoder.stem.weight"]
    weights["image_encoder.sten.weight"] = torch.zeros(1)
    weights["logit_scale"] = torch.zeros(2)
    save_file(weights, folder / "weights.safetensors")
    with pytest.raises(CheckpointMismatch) as refused:
        load_model(folder)
    message = str(refused.value)
    assert "1 missing: image_encoder.stem.weight" in message
    assert "1 unexpected: image_encoder.sten.weight" in message
    assert "logit_scale (expected (), got (2,))" in message


_FILES = ["weights.safetensors", "model.toml", "text_encoder/tokenizer.json"]


@pytest.mark.parametrize("name", _FILES)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(CheckpointMismatch, match=f"missing {Path(name).name}"):
        load_model(folder)


@pytest.mark.parametrize("name", _FILES)
def test_a_damaged_file_is_named(folder, name):
    (folder / name).write_bytes(b"\xff\x00 not this")
    with pytest.raises(CheckpointMismatch, match=name.replace(".", r"\.")):
        load_model(folder)


def test_an_unknown_schema_or_part_is_refused(folder):
    description = tomllib.loads((folder / "model.toml").read_text())
    (folder / "model.toml").write_text(tomli_w.dumps(description | {"schema_version": 99}))
    with pytest.raises(CheckpointMismatch, match="schema version 1 or 2, got 99"):
        load_model(folder)
    description["architecture"]["image"]["depth"] = 7
    (folder / "model.toml").write_text(tomli_w.dumps(description))
    with pytest.raises(CheckpointMismatch, match="depth"):
        load_model(folder)


def test_the_hash_changes_with_weights_and_with_the_description(folder):
    first = load_model(folder).weights_hash()
    assert first == load_model(folder).weights_hash()
    text = (folder / "model.toml").read_text()
    (folder / "model.toml").write_text(text.replace("slope = 3.0", "slope = 4.0"))
    assert load_model(folder).weights_hash() != first


def test_an_unknown_name_lists_what_there_is(tmp_path):
    with pytest.raises(CheckpointMismatch, match="starter"):
        load_model(tmp_path / "nothing")

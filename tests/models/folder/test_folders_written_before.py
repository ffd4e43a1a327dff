"""Model folders that version 1 of the format wrote open with the answers they gave then.

``written_before`` was written by the last commit before the formats became one: the starter, each
training method, and each import; ``answers.json`` holds what that commit's own loader made of them.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from napari_ctclip.core.errors import CheckpointMismatch
from napari_ctclip.models.factory import load_model, model_folder
from napari_ctclip.models.folder.architecture import (
    build_architecture,
    start_text_encoder,
    text_table_of,
)
from napari_ctclip.models.folder.files import read_description
from napari_ctclip.models.folder.model_folder import kind_of_folder
from napari_ctclip.models.folder.organ_head import load_organ_head

WRITTEN = Path(__file__).with_name("written_before")
ANSWERS = json.loads((WRITTEN / "answers.json").read_text("utf-8"))
NEEDS = {
    **dict.fromkeys(("imported_fvlm", "siglip_bert", "hlip", "merlin"), "transformers"),
    "colipri": "colipri",
}


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_folder_answers_as_it_did(name: str) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    before, model = ANSWERS[name], load_model(WRITTEN / name)
    model.own_autocast = False  # of a dual encoder: compare float32 with float32
    assert type(model).__name__ == before["type"]
    assert model.name == before["name"]
    assert model.weights_hash() == before["weights_hash"]  # sessions and caches know it by that
    assert model.preprocessing.hash() == before["preprocessing"]
    shape = (len(model.preprocessing.windows_hu), *(model.preprocessing.shape or (32, 32, 32)))
    image = torch.linspace(0, 1, torch.Size(shape).numel()).reshape(1, *shape)
    with torch.inference_mode():
        if "text" in before:
            assert model.embed_text(["lung nodule"])[0, :8].tolist() == pytest.approx(
                before["text"], abs=2e-4
            )
        dense = model.embed_dense(model.encode_image(image))[0, :4, 0, 0, 0]
    assert dense.tolist() == pytest.approx(before["dense"], abs=2e-2 if name == "colipri" else 2e-3)


def test_kinds_that_had_another_name_are_known_by_todays() -> None:
    assert kind_of_folder(WRITTEN / "starter") == "towers"
    assert kind_of_folder(WRITTEN / "imported_fvlm") == "organ_query"


def test_bundled_starter_keeps_its_hash() -> None:
    assert load_model("starter").weights_hash().startswith("682afa3fd6204701")


def test_head_and_calibration_come_along() -> None:
    assert load_organ_head(WRITTEN / "ct_glip_finetune").anatomies == ("lung", "heart")
    calibration = load_model(WRITTEN / "starter").calibration
    assert calibration is not None
    assert (calibration.slope, calibration.intercept) == (3.0, -1.0)


def test_text_encoder_of_a_folder_starts_a_training() -> None:
    folder = model_folder(WRITTEN / "siglip")
    description = read_description(folder)
    description["architecture"]["text"] = text_table_of(folder)
    torch.manual_seed(7)
    model = build_architecture(description, text_folder=folder)
    start_text_encoder(model.text_encoder, folder)
    found = load_model(folder).text_encoder.state_dict()
    assert all(torch.equal(model.text_encoder.state_dict()[name], found[name]) for name in found)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    shutil.copytree(WRITTEN / "lrclr", tmp_path / "lrclr")
    (tmp_path / "lrclr" / "weights.safetensors").unlink()
    with pytest.raises(CheckpointMismatch, match=r"missing weights\.safetensors"):
        load_model(tmp_path / "lrclr")

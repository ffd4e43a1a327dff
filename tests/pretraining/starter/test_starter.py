"""The starter trains, stops, resumes, and what it writes opens as a model."""

from __future__ import annotations

import csv
import shutil

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from napari_ctclip.core.errors import DataError
from napari_ctclip.models.factory import load_model
from napari_ctclip.pretraining.contrast_step import EmbeddingModule, accumulate_gradients
from napari_ctclip.pretraining.recipe_files import load_recipe
from napari_ctclip.pretraining.starter import starter
from napari_ctclip.pretraining.starter.crop_batches import collate_crops
from napari_ctclip.pretraining.starter.dataset import StudyFolder
from tests.models.small_model import small_tokenizer
from tests.paths import TRAINING
from tests.pretraining.starter.test_dataset import write_block

RECIPES = TRAINING / "starter"


@pytest.fixture
def run(tmp_path):
    """A folder with a study and an untrained text student; its recipe."""
    recipe = load_recipe(RECIPES / "smoke.toml")
    data, text = tmp_path / "studies", tmp_path / "run" / "text"
    data.mkdir()
    write_block(data, 3)
    text.mkdir(parents=True)
    small_tokenizer().save(str(text / "tokenizer.json"))
    torch.manual_seed(0)
    model = starter.build_architecture(starter.describe(recipe), text_folder=text)
    torch.save(
        {
            "student": model.text_encoder.state_dict(),
            "projection": model.text_projection.state_dict(),
        },
        text / "student.pt",
    )
    return recipe, tmp_path / "run", data


def test_two_steps_write_a_model_that_opens(run):
    recipe, out, data = run
    folder = starter.pretrain_starter(recipe, out, data=data, resume=True)
    model = load_model(folder)
    assert model.embed_text(["small nodule"]).shape == (1, 64)
    assert model.suggested_prompts[0] == "lung nodule"
    rows = list(csv.DictReader((out / "metrics.csv").open()))
    assert [row["step"] for row in rows] == ["0", "1"]
    assert all(float(row["grounding"]) > 0 for row in rows)


def test_a_stopped_run_resumes_bit_by_bit(run):
    recipe, out, data = run
    longer = load_recipe(RECIPES / "smoke.toml", overrides=["training.steps=3"])
    starter.pretrain_starter(recipe, out, data=data, resume=True)
    starter.pretrain_starter(longer, out, data=data, resume=True)
    rows = list(csv.DictReader((out / "metrics.csv").open()))
    assert [row["step"] for row in rows] == ["0", "1", "2"]
    whole = out.with_name("whole")
    shutil.copytree(out / "text", whole / "text")
    starter.pretrain_starter(longer, whole, data=data, resume=True)
    states = [torch.load(folder / "state.pt", weights_only=True) for folder in (out, whole)]
    assert states[0]["step"] == 3
    for part in ("module", "average"):
        for name, tensor in states[0][part].items():
            assert torch.equal(tensor, states[1][part][name]), name
    weights = [folder / "model" / "weights.safetensors" for folder in (out, whole)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_the_text_encoder_stays_and_its_projection_learns_slowly(run):
    recipe, out, data = run
    starter.pretrain_starter(recipe, out, data=data, resume=True)
    state = torch.load(out / "state.pt", weights_only=True)
    student = torch.load(out / "text" / "student.pt", weights_only=True)
    for name, tensor in student["student"].items():
        assert torch.equal(state["module"][f"trained.text_encoder.{name}"], tensor), name
    moved = state["module"]["trained.text_projection.weight"] - student["projection"]["weight"]
    assert 0 < float(moved.abs().max()) < 2 * 0.2 * recipe.optimizer.learning_rate * 1.01


def test_a_run_is_not_written_over(run):
    recipe, out, data = run
    starter.pretrain_starter(recipe, out, data=data, resume=True)
    with pytest.raises(DataError, match="holds a run already"):
        starter.pretrain_starter(recipe, out, data=data)
    other = load_recipe(RECIPES / "smoke.toml", overrides=["objective.naming_weight=0.1"])
    with pytest.raises(DataError, match="another 'objective'"):
        starter.pretrain_starter(other, out, data=data, resume=True)


def test_an_unknown_key_of_the_objective_is_refused(run):
    _, out, data = run
    wrong = load_recipe(RECIPES / "smoke.toml", overrides=["objective.phrasing=3"])
    with pytest.raises(DataError, match=r"objective\.phrasing.*did you mean 'phrasings'"):
        starter.pretrain_starter(wrong, out, data=data, resume=True)


def test_chunks_of_a_batch_change_no_gradient(run):
    recipe, out, data = run
    studies = StudyFolder(data, windows_hu=recipe.preprocessing.windows_hu, lesion_share=1.0)
    batch = collate_crops([studies.draw(np.random.default_rng(i), size=32) for i in range(3)])
    gradients = []
    for chunk in (None, 2):
        assembly = starter.assemble_starter(recipe, out / "text")
        assembly.trained.own_autocast = False
        fabric = Fabric(accelerator="cpu", devices=1)
        module = fabric.setup(EmbeddingModule(assembly.trained, assembly.objective)).train()
        assembly.objective.start_step(assembly.trained, 5)
        accumulate_gradients(fabric, module, assembly.objective, batch, chunk=chunk)
        named = assembly.trained.named_parameters()
        gradients.append({n: p.grad for n, p in named if p.grad is not None})
    largest = max(float(gradient.abs().max()) for gradient in gradients[0].values())
    assert {"text_projection.weight", "logit_scale"} <= set(gradients[0])
    for name, gradient in gradients[0].items():
        assert torch.allclose(gradients[1][name], gradient, rtol=1e-3, atol=1e-5 * largest), name

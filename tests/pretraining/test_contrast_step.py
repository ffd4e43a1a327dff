"""Chunks and processes change nothing: the gradient is that of the whole batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric

from napari_ctclip.pretraining.contrast_step import EmbeddingModule, accumulate_gradients
from tests.paths import ROOT
from tests.pretraining.tiny_run import text_folder, tiny_assembly, tiny_batch, tiny_recipe
from tests.pretraining.two_processes import METHODS

CASES = [
    ("clip", {}),
    ("siglip", {}),
    ("ct_glip", {}),
    ("lrclr", {"entropy_weight": 0.1}),
    ("fvlm", {}),
    ("fvlm", {"calibration": "co-teaching"}),
    ("fvlm", {"calibration": "momentum-text"}),
]


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> Path:
    return text_folder(tmp_path_factory.mktemp("run") / "texts")


def plain_gradients(recipe, batch):
    """Gradients by plain autograd on ``objective(model, batch)``, no loop's machinery."""
    assembly = tiny_assembly(recipe)
    assembly.objective.start_step(assembly.trained, 0)
    assembly.trained.train()
    terms = assembly.objective(assembly.trained, batch)
    torch.stack(list(terms.values())).sum().backward()
    return terms, gradients_of(assembly.trained)


def gradients_of(module):
    return {n: p.grad for n, p in module.named_parameters() if p.grad is not None}


def assert_same(found, expected):
    moved = {name for name, gradient in expected.items() if gradient.abs().max() > 0}
    assert moved, "a test without gradients tells nothing"
    assert moved <= set(found)
    largest = max(float(expected[name].abs().max()) for name in moved)
    for name in moved:
        assert torch.allclose(found[name], expected[name], rtol=1e-4, atol=1e-5 * largest), name


@pytest.mark.parametrize(("method", "objective"), CASES)
@pytest.mark.parametrize("chunk", [None, 4])
def test_gradient_of_chunks_is_that_of_the_whole_batch(method, objective, chunk, texts):
    recipe = tiny_recipe(method, texts, objective=objective)
    batch = tiny_batch(6, cubes=method == "ct_glip")
    terms, expected = plain_gradients(recipe, batch)
    assembly = tiny_assembly(recipe)
    fabric = Fabric(accelerator="cpu", devices=1)
    module = fabric.setup(EmbeddingModule(assembly.trained, assembly.objective))
    assembly.objective.start_step(assembly.trained, 0)
    found = accumulate_gradients(fabric, module, assembly.objective, batch, chunk=chunk)
    for name, term in terms.items():
        assert torch.allclose(found[name], term, atol=1e-5), name
    assert_same(gradients_of(assembly.trained), expected)


def test_dropout_meets_the_same_chance_in_both_passes_of_a_chunk(texts):
    recipe = tiny_recipe("clip", texts, dropout=0.5)
    fabric = Fabric(accelerator="cpu", devices=1)
    seen = []
    assembly = tiny_assembly(recipe)
    inner = EmbeddingModule(assembly.trained, assembly.objective)
    inner.register_forward_hook(lambda m, i, rows: seen.append(rows["image"].detach().clone()))
    module = fabric.setup(inner).train()
    accumulate_gradients(
        fabric,
        module,
        assembly.objective,
        tiny_batch(4),
        chunk=2,
        reseed=lambda part: torch.manual_seed(part),
    )
    first, second = seen[:2], seen[2:]
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], first[1])


@pytest.mark.xdist_group("ports")
def test_two_processes_give_the_gradient_of_one_on_the_joined_batch(texts):
    folder = texts.parent
    root = ROOT
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    paths = [str(root / "src"), str(root)]
    done = subprocess.run(
        [*command, str(Path(__file__).with_name("two_processes.py")), str(folder)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
        check=False,
        timeout=240,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for number, (method, objective, _) in enumerate(METHODS):
        terms, expected = plain_gradients(
            tiny_recipe(method, texts, objective=objective), tiny_batch(6)
        )
        found = torch.load(folder / f"{number}.pt", weights_only=True)
        for name, term in terms.items():
            assert torch.allclose(found["terms"][name], term, atol=1e-5), (method, name)
        assert_same(found["gradients"], expected)

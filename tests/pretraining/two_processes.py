"""Run by torchrun in a test: gradients of two processes on halves of a batch, to a file."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from napari_ctclip.pretraining.contrast_step import EmbeddingModule, accumulate_gradients
from napari_ctclip.pretraining.runs.launching import launch_fabric
from tests.pretraining.tiny_run import tiny_assembly, tiny_batch, tiny_recipe

METHODS = (
    ("clip", {}, 0),
    ("clip", {}, 1),
    ("siglip", {}, 0),
    ("lrclr", {}, 1),
    ("fvlm", {"calibration": "normal-pairs"}, 0),
    ("fvlm", {"calibration": "co-teaching"}, 2),
)
"""Method, its objective's options, samples a chunk (0: all)."""


def main(folder: Path) -> None:
    """Write one file of gradients and terms for each entry of ``METHODS``."""
    for number, (method, objective, chunk) in enumerate(METHODS):
        recipe = tiny_recipe(method, folder / "texts", objective=objective, devices=2)
        recipe = recipe.model_copy(
            update={"optimizer": recipe.optimizer.model_copy(update={"batch": 6})}
        )
        assembly = tiny_assembly(recipe)
        fabric = launch_fabric(recipe).fabric
        module = fabric.setup(EmbeddingModule(assembly.trained, assembly.objective))
        half = list(tiny_batch(6).chunks(3))[fabric.global_rank]
        assembly.objective.start_step(assembly.trained, 0)
        terms = accumulate_gradients(fabric, module, assembly.objective, half, chunk=chunk or None)
        gradients = {
            name: parameter.grad
            for name, parameter in assembly.trained.named_parameters()
            if parameter.grad is not None
        }
        if fabric.is_global_zero:
            torch.save({"terms": terms, "gradients": gradients}, folder / f"{number}.pt")
        fabric.barrier()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

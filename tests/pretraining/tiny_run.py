"""Trainings of a second: a tiny model of each method, on random images with made-up captions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from napari_ctclip.models.towers.organ_query import OrganQuery
from napari_ctclip.pretraining.building import Assembly, assemble
from napari_ctclip.pretraining.data.draws import StudyDraws
from napari_ctclip.pretraining.data.samples import (
    SampleSource,
    StudyBatch,
    TrainingSample,
    collate_samples,
)
from napari_ctclip.pretraining.loop import Training
from napari_ctclip.pretraining.recipe import Recipe
from napari_ctclip.pretraining.runs.launching import launch_fabric
from napari_ctclip.reports.captions import OrganCaption
from tests.models.small_model import ARCHITECTURE, small_tokenizer

ANATOMIES = ("lung", "heart")
CROP = (8, 16, 16)
_VIT = {
    "kind": "vit",
    "width": 16,
    "depth": 2,
    "heads": 2,
    "mlp_width": 32,
    "patch_size": [4, 4, 4],
    "position_grid": [2, 4, 4],
    "dropout": 0.0,
}
_CNN = {"kind": "cnn", **ARCHITECTURE["image"]}
_WORDS = ("nodule", "effusion", "large nodule", "small effusion", "much longer sentence about lung")
NEGATIVES = {
    "lung": [("nodule", "nodule"), ("effusion", "effusion")],
    "heart": [("effusion", "effusion")],
}


def text_folder(folder: Path) -> Path:
    """Write a folder that a tiny untrained text encoder is built from."""
    import tomli_w

    folder.mkdir(parents=True, exist_ok=True)
    small_tokenizer().save(str(folder / "tokenizer.json"))
    text = tomli_w.dumps({"architecture": {"text": ARCHITECTURE["text"]}})
    (folder / "model.toml").write_text(text, "utf-8")
    return folder


def tiny_recipe(
    method: str, texts: Path, *, objective: dict | None = None, dropout: float = 0.0, **loop: object
) -> Recipe:
    """Return a recipe of a method; ``optimizer`` may be among the further tables."""
    optimizer = {"steps": 4, "batch": 4, "learning_rate": 1e-2, **loop.pop("optimizer", {})}
    model = {"kind": "towers", "image": _VIT | {"dropout": dropout}, "head": {}}
    if method == "siglip":
        model["head"] = {"logit_bias": -3.0}
    elif method == "ct_glip":
        model |= {"image": _CNN, "head": {"unit_tokens": False}}
    elif method == "lrclr":
        model |= {"kind": "local_regions", "head": {"keep": 5}}
    elif method == "fvlm":
        model |= {"kind": "organ_query", "image": _VIT | {"dropout": dropout, "level_blocks": [0]}}
    return Recipe.model_validate(
        {
            "method": method,
            "model": model
            | {
                "name": "tiny",
                "embedding_width": 8,
                "text_folder": str(texts),
                "text_start": "random",
            },
            "preprocessing": {"spacing_mm": (4.0, 4.0, 4.0), "windows_hu": ((-1000.0, 400.0),)},
            "data": {"anatomies": ANATOMIES, "crop": CROP},
            "objective": objective or {},
            "optimizer": optimizer,
            "loop": {"accelerator": "cpu", "devices": 1, "save_every": 2, **loop},
        }
    )


def tiny_assembly(recipe: Recipe) -> Assembly:
    """Return its parts; organ queries are random and without dropout, so that organs differ."""
    assembly = assemble(recipe, abnormalities=NEGATIVES)
    for part in assembly.trained.modules():
        if isinstance(part, OrganQuery):
            torch.nn.init.normal_(part.queries, generator=torch.Generator().manual_seed(3))
            part.attention.dropout = 0.0
    return assembly


def training_of(recipe: Recipe, assembly: Assembly, source: SampleSource | None = None) -> Training:
    """Return the training of a recipe, on random studies if no source is given."""
    draws = StudyDraws(source or RandomStudies(), recipe.optimizer.batch, seed=recipe.loop.seed)
    return Training(recipe, assembly, draws, launch_fabric(recipe))


def trained_folder(method: str, folder: Path) -> Path:
    """Write the folder of a tiny model, as training ends with it."""
    values = tiny_recipe(method, text_folder(folder / "texts")).model_dump()
    values["preprocessing"]["multiple_of"] = (16, 16, 16)  # what the CNN takes
    assembly = assemble(Recipe.model_validate(values))
    weights = {f"trained.{name}": t for name, t in assembly.trained.state_dict().items()}
    assembly.export(weights, folder / "model", {"steps": 0})
    return folder / "model"


class RandomStudies:
    """A sample source: noise whose brightness goes with the caption."""

    anatomies = ANATOMIES

    def __init__(self, studies: int = 7, *, cubes: bool = False) -> None:
        self._studies, self._shape = studies, (16, 16, 16) if cubes else CROP

    def __len__(self) -> int:
        return self._studies

    def sample(self, index: int, rng: np.random.Generator) -> TrainingSample:
        image = rng.normal(index / self._studies, 0.1, (1, *self._shape)).astype(np.float32)
        masks = np.zeros((2, *self._shape), dtype=bool)
        masks[0, 1:-1, 1:7, 1:-1] = True
        masks[1, 1:-1, 9:15, 1:-1] = True
        normal = index % 3 == 0
        word = _WORDS[index % len(_WORDS)]
        lung = OrganCaption(
            "normal lung" if normal else word,
            normal,
            frozenset() if normal else frozenset({word.split()[-1]}),
        )
        heart = OrganCaption("normal", True) if index % 2 else OrganCaption(f"a {word}", False)
        return TrainingSample(
            f"study-{index}",
            image,
            masks,
            (lung, heart),
            f"{word}. no {word}",
            image[:, ::-1].copy(),
        )


def tiny_batch(samples: int = 6, *, cubes: bool = False) -> StudyBatch:
    """Return the first studies as a batch."""
    source = RandomStudies(cubes=cubes)
    drawn = [source.sample(i, np.random.default_rng(i)) for i in range(samples)]
    return collate_samples(drawn)

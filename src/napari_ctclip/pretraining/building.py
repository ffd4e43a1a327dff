"""Building: from a recipe to what is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from napari_ctclip.core.errors import DataError
from napari_ctclip.models.dual_encoder import DualEncoder
from napari_ctclip.models.factory import load_model, model_folder
from napari_ctclip.models.folder.architecture import (
    build_architecture,
    start_locked_tower,
    start_model,
    start_text_encoder,
    text_table_of,
)
from napari_ctclip.models.folder.model_folder import write_model_folder
from napari_ctclip.models.interface import CropProtocol
from napari_ctclip.models.published.open_clip_adapter import save_open_clip, untrained_open_clip
from napari_ctclip.models.published.slice_model import SliceModel
from napari_ctclip.models.text.bert_text_encoder import BertTextEncoder
from napari_ctclip.models.towers.vit3d import TransformerBlock
from napari_ctclip.preprocessing.specification import Preprocessing
from napari_ctclip.pretraining.objectives.anatomy_contrast import (
    AnatomyContrast,
    MomentumText,
    TwinModels,
)
from napari_ctclip.pretraining.objectives.clip import Clip, Lrclr, SigLip
from napari_ctclip.pretraining.objectives.clip_ild_dapt import ClipIldDapt
from napari_ctclip.pretraining.objectives.ct_glip import CtGlip
from napari_ctclip.pretraining.objectives.objective import Objective, Setting
from napari_ctclip.pretraining.objectives.organ_classification import OrganClassification
from napari_ctclip.pretraining.recipe import Recipe
from napari_ctclip.pretraining.recipe_files import describe_mistakes

__all__ = [
    "METHODS",
    "Assembly",
    "ModelWriter",
    "assemble",
    "objective_kind",
    "objective_options",
    "open_clip_of",
    "open_clip_writer",
]

METHODS: dict[str, type[Objective]] = {
    "clip": Clip,
    "siglip": SigLip,
    "ct_glip": CtGlip,
    "ct_glip_finetune": OrganClassification,
    "lrclr": Lrclr,
    "fvlm": AnatomyContrast,
    "clip_ild_dapt": ClipIldDapt,
}
"""The objective behind each recipe's name."""


ModelWriter = Callable[[Mapping[str, Tensor], Path, Mapping[str, Any]], None]
"""Writes the folder of a model from its weights, with a note of how they came about."""


@dataclass(frozen=True, eq=False)
class Assembly:
    """What a recipe trains.

    Attributes
    ----------
    trained : nn.Module
        The model, or the model with what is trained beside it.
    objective : Objective
        What is optimised.
    write_model : callable
        Writes the model's folder.
    """

    trained: nn.Module
    objective: Objective
    write_model: ModelWriter

    def export(
        self, weights: Mapping[str, Tensor], folder: Path, training: Mapping[str, Any]
    ) -> None:
        """Write the model's folder, from the weights of a module that holds ``trained``."""
        model = self.objective.model_of(self.trained)
        inside = next(name for name, part in self.trained.named_modules() if part is model)
        prefix = ".".join(["trained", *([inside] if inside else [])]) + "."
        state = {
            name.removeprefix(prefix): tensor
            for name, tensor in weights.items()
            if name.startswith(prefix)
        }
        self.write_model(state, folder, training)
        self.objective.write_extras(self.trained, weights, folder)


def assemble(
    recipe: Recipe,
    *,
    abnormalities: Mapping[str, Sequence[tuple[str, str]]] | None = None,
) -> Assembly:
    """Return model and objective of a recipe.

    Parameters
    ----------
    recipe : Recipe
        The recipe of what is trained.
    abnormalities : mapping of str to sequence of (name, text), optional
        The dictionary of negatives, see ``objectives.objective.Setting``.

    Raises
    ------
    DataError
        If the method or a key of its objective is unknown.
    CheckpointMismatch
        If a part cannot be built, or does not fit what it starts from.
    """
    kind = objective_kind(recipe)
    setting = Setting(
        recipe.data.anatomies, recipe.loop.seed, abnormalities, recipe.optimizer.batch
    )
    objective = kind(objective_options(recipe, kind), setting)
    text_folder = model_folder(recipe.model.text_folder)
    description = _description(recipe, text_folder)

    def make(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return _model(recipe, description, text_folder)

    trained = objective.module(make(recipe.loop.seed), lambda: make(recipe.loop.seed + 1))
    if recipe.loop.activation_checkpointing:
        _recompute_blocks(trained)
    if recipe.loop.compile:
        _compile_image_encoders(trained)
    if recipe.loop.strategy == "fsdp" and isinstance(trained, (MomentumText, TwinModels)):
        raise DataError(
            'strategy "fsdp" needs a model without an EMA teacher or a partner (calibration '
            '"co-teaching" and "momentum-text" have one); take "ddp"'
        )
    if recipe.model.kind == "open_clip":
        model = objective.model_of(trained)
        assert isinstance(model, SliceModel)
        return Assembly(trained, objective, open_clip_writer(model))

    def write(state: Mapping[str, Tensor], folder: Path, training: Mapping[str, Any]) -> None:
        write_model_folder(
            folder,
            weights=state,
            description={**description, "training": training},
            text_folder=text_folder,
        )

    return Assembly(trained, objective, write)


def objective_kind(recipe: Recipe) -> type[Objective]:
    """Return the objective of a recipe's method.

    Raises
    ------
    DataError
        If the method is unknown.
    """
    if recipe.method not in METHODS:
        raise DataError(f"unknown method {recipe.method!r}; expected one of {', '.join(METHODS)}")
    return METHODS[recipe.method]


def objective_options(recipe: Recipe, kind: type[Objective]) -> Any:
    """Return the ``[objective]`` table of a recipe, checked.

    Raises
    ------
    DataError
        If a key is unknown or of the wrong kind.
    """
    try:
        return kind.options_type.model_validate(recipe.objective)
    except ValidationError as error:
        mistakes = describe_mistakes(error, kind.options_type, prefix="objective")
        raise DataError(f"recipe of {recipe.method}: {mistakes}") from error


def open_clip_writer(model: SliceModel, *, half: bool = False) -> ModelWriter:
    """Return what writes a 2D CLIP in open_clip's format, as float16 where ``half`` says so."""

    def write(state: Mapping[str, Tensor], folder: Path, training: Mapping[str, Any]) -> None:
        clip = {
            name.removeprefix("clip."): t.half() if half and t.is_floating_point() else t
            for name, t in state.items()
        }
        save_open_clip(model, folder, state=clip)

    return write


def _description(recipe: Recipe, text_folder: Path) -> dict[str, Any]:
    model, data = recipe.model, recipe.data
    crops = {}
    if model.kind == "organ_query":
        crops = {"crop": CropProtocol.of_training(data.crop, data.margin).to_dict()}
    return {
        "name": model.name,
        "licence": "unspecified",
        "embedding_width": model.embedding_width,
        "anatomies": data.anatomies,
        "organ_names": data.anatomies if METHODS[recipe.method].names_organs else [],
        "suggested_prompts": model.suggested_prompts,
        "background_prompts": model.background_prompts,
        "preprocessing": recipe.preprocessing.model_dump(),
        **crops,
        "architecture": {
            "kind": model.kind,
            "image": model.image,
            "text": text_table_of(text_folder),
            "head": model.head,
        },
    }


def _model(recipe: Recipe, description: Mapping[str, Any], text_folder: Path) -> nn.Module:
    if recipe.model.kind == "open_clip":
        clip = open_clip_of(recipe)
        clip.own_autocast = False
        return clip
    model = build_architecture(description, text_folder=text_folder)
    if recipe.model.start:
        start_model(model, model_folder(recipe.model.start))
    elif recipe.model.text_start == "pretrained":
        start_text_encoder(model.text_encoder, text_folder)
    if recipe.model.image_start:
        encoder: Any = model.image_encoder
        start_locked_tower(encoder, model_folder(recipe.model.image_start))
    if recipe.model.text_locked:
        _lock(model.text_encoder)
    if isinstance(model, DualEncoder):
        model.own_autocast = False
    return model


def _lock(part: nn.Module) -> None:
    """Keep a part as it is: no gradient, and no dropout either."""
    part.requires_grad_(False)
    for layer in part.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0


def open_clip_of(recipe: Recipe) -> SliceModel:
    """Return a 2D CLIP: one that lies on this machine, or an architecture with random weights.

    Raises
    ------
    DataError
        If ``model.start`` is no 2D CLIP.
    """
    model = recipe.model
    if model.start:
        loaded = load_model(model.start)
        if not isinstance(loaded, SliceModel):
            raise DataError(
                f'model.start = {model.start!r} is no 2D CLIP; with model.kind = "open_clip" give '
                "starter-2d, a name of open_clip, or a folder in its format"
            )
        clip = loaded.requires_grad_(True)
    elif model.image:
        own = {"embed_dim": model.embedding_width, "vision_cfg": model.image, **model.head}
        clip = untrained_open_clip(own, seed=recipe.loop.seed)
    else:
        clip = untrained_open_clip(model.name, seed=recipe.loop.seed)
    clip.name = model.name
    clip.preprocessing = Preprocessing.from_dict(recipe.preprocessing.model_dump())
    return clip


def _recompute_blocks(module: nn.Module) -> None:
    """Keep no activation inside transformer blocks; compute them again in the backward pass."""
    for part in module.modules():
        if isinstance(part, TransformerBlock):
            part.forward = partial(  # type: ignore[method-assign]
                checkpoint, part.forward, use_reentrant=False
            )
        elif isinstance(part, BertTextEncoder):
            bert: Any = part.bert
            bert.gradient_checkpointing_enable({"use_reentrant": False})


def _compile_image_encoders(module: nn.Module) -> None:
    for part in list(module.modules()):
        encoder = getattr(part, "image_encoder", None)
        if isinstance(encoder, nn.Module):
            encoder.compile()

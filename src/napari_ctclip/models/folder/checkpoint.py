"""Checkpoint: a model as a folder of safetensors, TOML and a tokenizer, read strictly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from napari_ctclip.core.errors import CheckpointMismatch, DataError
from napari_ctclip.io.files import replacing
from napari_ctclip.models.dual_encoder import DualEncoder
from napari_ctclip.models.folder.folder_files import (
    MODEL_FILE,
    WEIGHTS_FILE,
    hash_of_files,
    read_description,
    write_description,
    write_weights,
)
from napari_ctclip.models.folder.strict_state import read_safetensors, require_same_tensors
from napari_ctclip.models.interface import Calibration
from napari_ctclip.models.text.text_encoders import WordPieceTransformer, load_tokenizer
from napari_ctclip.models.towers.image_encoders import ResidualPyramid3d
from napari_ctclip.preprocessing.specification import Preprocessing

__all__ = ["SCHEMA_VERSION", "build_model", "load_checkpoint", "replace_weights", "save_checkpoint"]

SCHEMA_VERSION = 1
_PARTS = ("architecture", "preprocessing", "name", "background_prompts", "suggested_prompts")
_COPY_AGAIN = "copy or download it again"
_TOKENIZER = "tokenizer.json"


def build_model(description: Mapping[str, Any], tokenizer: Any) -> DualEncoder:
    """Return an untrained model as ``model.toml`` describes it.

    Raises
    ------
    CheckpointMismatch
        If the description is of another schema or lacks a part.
    """
    version = description.get("schema_version")
    if version != SCHEMA_VERSION:
        raise CheckpointMismatch(
            f"expected a model description of schema version {SCHEMA_VERSION}, got {version}; "
            "update napari-ctclip or export the model again"
        )
    missing = [part for part in _PARTS if part not in description]
    if missing:
        raise CheckpointMismatch(
            f"the model description has no {', '.join(missing)}, without which nobody knows "
            "how to use the weights; ask its maker for the whole folder"
        )
    try:
        architecture = description["architecture"]
        preprocessing = Preprocessing.from_dict(description["preprocessing"])
        calibration = description.get("calibration")
        return DualEncoder(
            ResidualPyramid3d(len(preprocessing.windows_hu), **architecture["image"]),
            WordPieceTransformer(tokenizer, **architecture["text"]),
            name=str(description["name"]),
            preprocessing=preprocessing,
            embedding_width=int(architecture["embedding_width"]),
            background_prompts=description["background_prompts"],
            suggested_prompts=description["suggested_prompts"],
            calibration=None if calibration is None else Calibration(**calibration),
        )
    except (KeyError, TypeError, DataError) as error:
        raise CheckpointMismatch(
            f"the model description cannot be used: {type(error).__name__}: {error}"
        ) from error


def load_checkpoint(folder: Path | str) -> DualEncoder:
    """Return the model of a folder, ready for inference.

    Raises
    ------
    CheckpointMismatch
        If a file is missing or damaged, or the weights do not fit the description; every missing,
        unexpected and mis-shaped tensor is named.
    """
    folder = Path(folder)
    missing = [
        name for name in (WEIGHTS_FILE, MODEL_FILE, _TOKENIZER) if not (folder / name).is_file()
    ]
    if missing:
        raise CheckpointMismatch(
            f"{folder}: expected {WEIGHTS_FILE}, {MODEL_FILE} and {_TOKENIZER}; "
            f"missing {', '.join(missing)}"
        )
    description = read_description(folder)
    try:
        model = build_model(description, load_tokenizer(folder))
    except CheckpointMismatch as error:
        raise CheckpointMismatch(f"{folder}: {error}") from error
    weights = read_safetensors(folder / WEIGHTS_FILE, advice=_COPY_AGAIN)
    _load_strictly(model, weights, folder / WEIGHTS_FILE)
    model.image_encoder.fold()
    model.content_hash = hash_of_files(folder / WEIGHTS_FILE, folder / MODEL_FILE)
    return model.eval().requires_grad_(False)


def save_checkpoint(
    model: DualEncoder,
    folder: Path | str,
    *,
    architecture: Mapping[str, Any],
    licence: str,
    provenance: Mapping[str, Any],
    state: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a model folder that :func:`load_checkpoint` opens; weights as float16.

    Parameters
    ----------
    model : DualEncoder
        The model; its kernels must not be folded.
    folder : Path
        Made if it does not exist.
    architecture : mapping
        ``image`` and ``text`` keyword arguments and ``embedding_width``.
    licence : str
        SPDX name.
    provenance : mapping
        How the weights came about, plain values.
    state : mapping of str to Tensor, optional
        Weights to write instead of the model's own (an average over training, say).
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: tensor.detach().to("cpu", torch.float16).contiguous().clone()
        for name, tensor in (state or model.state_dict()).items()
    }
    description: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "name": model.name,
        "licence": licence,
        "embedding_width": model.embedding_width,
        "patch_size": list(model.patch_size),
        "region_readout": model.region_readout,
        "background_prompts": list(model.background_prompts),
        "suggested_prompts": list(model.suggested_prompts),
        "architecture": architecture,
        "preprocessing": model.preprocessing.to_dict(),
        "training": provenance,
    }
    if model.calibration is not None:
        description["calibration"] = asdict(model.calibration)
    write_weights(weights, folder / WEIGHTS_FILE)
    write_description(description, folder)
    with replacing(folder / _TOKENIZER) as partial:
        model.text_encoder.tokenizer.save(str(partial), pretty=False)


def replace_weights(folder: Path, changed: Mapping[str, Tensor]) -> None:
    """Write some tensors of a model folder anew, as float16; the others stay."""
    weights = read_safetensors(folder / WEIGHTS_FILE, advice=_COPY_AGAIN)
    weights |= {
        name: t.detach().to("cpu", torch.float16).contiguous() for name, t in changed.items()
    }
    write_weights(weights, folder / WEIGHTS_FILE)


def _load_strictly(model: DualEncoder, weights: Mapping[str, Tensor], file: Path) -> None:
    require_same_tensors(
        model.state_dict(),
        weights,
        source=str(file),
        advice=f"weights and {MODEL_FILE} must come from the same training",
    )
    model.load_state_dict({name: tensor.float() for name, tensor in weights.items()})

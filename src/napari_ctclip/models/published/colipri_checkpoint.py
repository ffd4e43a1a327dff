"""COLIPRI from the released files; never from the network."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import requires, version
from pathlib import Path
from typing import Any

from torch import Tensor

from napari_ctclip.core.errors import CheckpointMismatch, CtClipError
from napari_ctclip.models.folder.files import (
    MODEL_FILE,
    TEXT_FOLDER,
    hash_of_files,
    read_description,
    read_safetensors,
    require_same_tensors,
)
from napari_ctclip.models.hub.hub_cache import cached_folder
from napari_ctclip.models.published.colipri import COLIPRI_PREPROCESSING, Colipri
from napari_ctclip.models.text.bert_text_encoder import CXR_BERT, FOLDER_FILES, BertTextEncoder

__all__ = [
    "COLIPRI",
    "COLIPRI_REPOSITORY",
    "is_colipri_release",
    "load_colipri",
    "untrained_colipri",
]

COLIPRI = "colipri"
"""Its name, and ``architecture.kind`` in ``model.toml``."""

COLIPRI_REPOSITORY = "microsoft/colipri"
"""Of the released weights, on the Hugging Face hub; MIT."""

_WEIGHTS = "model.safetensors"
_SIGN = "image_encoder.backbone.eva."  # names that every COLIPRI checkpoint has
_LONGEST_TEXT = 512  # tokens; the package's processor
_SIZES = {
    "input_size": "input_size",
    "image_width": "image_embed_dim",
    "image_depth": "model.image_encoder.backbone.eva_depth",
    "image_heads": "model.image_encoder.backbone.eva_numheads",
    "embedding_width": "projection_dim",
    "image_pooling_heads": "model.image_encoder.pooler.num_heads",
    "text_pooling_heads": "model.text_encoder.pooler.num_heads",
}
"""Numbers of ``architecture`` that may differ, and what the shipped configuration calls them."""


def is_colipri_release(folder: Path) -> bool:
    """Return whether a folder without description holds COLIPRI's released weights."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / _WEIGHTS, framework="pt") as file:
            return any(name.startswith(_SIGN) for name in file.keys())  # noqa: SIM118
    except (SafetensorError, OSError):
        return False


def load_colipri(folder: Path | str) -> Colipri:
    """Return COLIPRI, ready for inference.

    Parameters
    ----------
    folder : Path
        With ``model.safetensors`` as released, ``text_encoder/`` with the configuration and
        vocabulary of its BERT unless the Hugging Face cache holds them, and ``model.toml`` where
        sizes differ from the shipped configuration.

    Raises
    ------
    CtClipError
        If the package or the text encoder is not on this machine, with the command that gets it.
    CheckpointMismatch
        If a file is damaged or the weights do not fit.
    """
    folder = Path(folder)
    settings = read_description(folder) if (folder / MODEL_FILE).is_file() else {}
    sizes = {k: v for k, v in settings.get("architecture", {}).items() if k != "kind"}
    name = str(settings.get("name", COLIPRI))
    text_folder = _text_folder(folder)
    model = untrained_colipri(text_folder, sizes=sizes, name=name)
    weights = _read_weights(folder / _WEIGHTS, expected=model.network.state_dict())
    model.network.load_state_dict(weights)
    model.content_hash = hash_of_files(
        folder / _WEIGHTS, text_folder / "vocab.txt", extra=f"{sizes}"
    )
    return model.eval().requires_grad_(False)


def untrained_colipri(
    text_folder: Path | str,
    *,
    sizes: Mapping[str, int] | None = None,
    name: str = "colipri (random weights)",
) -> Colipri:
    """Return COLIPRI as its package's configuration describes it, with random weights.

    Parameters
    ----------
    text_folder : Path
        ``config.json`` and ``vocab.txt`` of the text encoder's BERT.
    sizes : mapping of str to int, optional
        Numbers that differ from the shipped configuration: ``input_size`` (voxels),
        ``image_width``, ``image_depth``, ``image_heads``, ``embedding_width``,
        ``image_pooling_heads``, ``text_pooling_heads``.
    name : str
        What the user calls it.

    Raises
    ------
    CtClipError
        If the package is not installed.
    CheckpointMismatch
        If a size is unknown or no whole number, or sizes do not fit each other.
    """
    _require_package()
    from colipri.checkpoint import load_model_config
    from colipri.model.multimodal import Model
    from colipri.model.text import TextEncoder
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    text = BertTextEncoder.untrained(text_folder, max_tokens=_LONGEST_TEXT)
    config = load_model_config(overrides=_overrides(sizes or {}))
    try:
        image_encoder = instantiate(config.image_encoder)
        text_encoder = TextEncoder(text.bert, instantiate(config.text_encoder.pooler))
    except (InstantiationException, AssertionError, ValueError) as error:
        raise CheckpointMismatch(f"COLIPRI cannot have the sizes {sizes}: {error}") from error
    side = int(config.image_encoder.backbone.input_shape[0])
    return Colipri(
        Model(image_encoder, text_encoder),
        text,
        name=name,
        preprocessing=replace(COLIPRI_PREPROCESSING, shape=(side, side, side)),
    ).eval()


def _require_package() -> None:
    install = 'install it with: pip install "napari-ctclip[colipri]"'
    if importlib.util.find_spec("colipri") is None:
        raise CtClipError(f"COLIPRI needs its package; {install}")
    from packaging.requirements import Requirement

    wanted = [Requirement(line) for line in requires("colipri") or ()]
    timm = next((w.specifier for w in wanted if w.name == "timm"), None)
    # later ones fail in the position embedding of a volume, with shapes that tell nobody why
    if timm is not None and version("timm") not in timm:
        raise CtClipError(f"COLIPRI's package needs timm{timm}, got {version('timm')}; {install}")


def _overrides(sizes: Mapping[str, Any]) -> list[str]:
    """Return settings in the package's own words; anything but numbers could name code to run."""
    wrong = {k: v for k, v in sizes.items() if k not in _SIZES or type(v) is not int}
    if wrong:
        raise CheckpointMismatch(
            f"COLIPRI's architecture cannot be {wrong}; expected whole numbers for any of "
            f"{', '.join(_SIZES)}"
        )
    return [f"{_SIZES[name]}={value}" for name, value in sizes.items()]


def _text_folder(folder: Path) -> Path:
    if (folder / TEXT_FOLDER).is_dir():
        return folder / TEXT_FOLDER
    found = cached_folder(CXR_BERT, FOLDER_FILES)
    if found is None:
        raise CtClipError(
            f"COLIPRI's text encoder is not on this machine; get its configuration and vocabulary "
            f"with: hf download {CXR_BERT} {' '.join(FOLDER_FILES)}, or copy them into "
            f"{folder / TEXT_FOLDER}"
        )
    return found


def _read_weights(file: Path, *, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    weights = read_safetensors(file, advice="copy or download it again")
    # tables that some versions of transformers and timm store and others compute
    computed = [n for n in weights if n not in expected and (".rope." in n or "position_ids" in n)]
    for name in computed:
        del weights[name]
    advice = f"expected the release of {COLIPRI_REPOSITORY}"
    require_same_tensors(expected, weights, source=str(file), advice=advice)
    return weights

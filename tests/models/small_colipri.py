"""A small COLIPRI from the shipped configuration, with random weights; skips where it cannot be."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import tomli_w
from safetensors.torch import save_file

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.models.published.colipri import Colipri
from napari_ctclip.models.published.colipri_checkpoint import untrained_colipri
from tests.models.small_fvlm import TEXT_WIDTH, write_text_folder

SIZES = {
    "input_size": 64,
    "image_width": 48,
    "image_depth": 2,
    "image_heads": 4,
    "embedding_width": TEXT_WIDTH,
    "image_pooling_heads": 4,
    "text_pooling_heads": 4,
}


def small_colipri(folder: Path) -> Colipri:
    """Return the model; ``folder`` is made and gets the files of its text encoder."""
    pytest.importorskip("transformers", reason="COLIPRI's text encoder needs transformers")
    write_text_folder(folder)
    try:
        return untrained_colipri(folder, sizes=SIZES)
    except CtClipError as error:
        pytest.skip(str(error))


def saved_colipri(folder: Path) -> Path:
    """Return a folder laid out as the release, with the sizes that differ from it."""
    model = small_colipri(folder / "bert")
    shutil.copytree(folder / "bert", folder / "model" / "text_encoder")
    weights = {name: tensor.contiguous() for name, tensor in model.network.state_dict().items()}
    save_file(weights, folder / "model" / "model.safetensors")
    description = {"name": model.name, "architecture": {"kind": "colipri", **SIZES}}
    text = tomli_w.dumps({"schema_version": 1, **description})
    (folder / "model" / "model.toml").write_text(text, "utf-8")
    return folder / "model"

"""A small COLIPRI from the shipped configuration, with random weights; skips where it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.models.published.colipri import Colipri
from napari_ctclip.models.published.colipri_checkpoint import save_colipri, untrained_colipri
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
    """Return the folder of a saved small model."""
    model = small_colipri(folder / "bert")
    save_colipri(model, folder / "model", text_folder=folder / "bert", sizes=SIZES)
    return folder / "model"

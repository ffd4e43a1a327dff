"""A small HLIP with random weights, and the files its import needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from napari_ctclip.models.published.hlip import HLIP_PREPROCESSING, Hlip
from napari_ctclip.models.published.hlip_checkpoint import save_hlip
from napari_ctclip.models.published.hlip_network import HlipNetwork
from napari_ctclip.models.text.bert_text_encoder import BertTextEncoder
from tests.models.random_weights import ready_with_named_weights, released_names
from tests.models.small_fvlm import write_text_folder

WIDTH = 64


def small_hlip(text_folder: Path, *, grid: tuple[int, int, int] = (6, 6, 6)) -> Hlip:
    """Return a narrow HLIP of the released depth."""
    network = HlipNetwork(width=WIDTH, heads=1, mlp_width=96, grid=grid, embedding_width=16)
    model = Hlip(
        network,
        BertTextEncoder.untrained(text_folder, max_tokens=512),
        preprocessing=replace(HLIP_PREPROCESSING, shape=network.image_shape),
    )
    return ready_with_named_weights(model)


def saved_hlip(folder: Path) -> Path:
    """Return the folder of a saved small model."""
    model = small_hlip(write_text_folder(folder / "texts"))
    save_hlip(model, folder / "model", text_folder=folder / "texts", provenance={})
    return folder / "model"


def released_hlip(text_folder: Path) -> tuple[Hlip, dict[str, Tensor]]:
    """Return a model and its weights under the names of the release, as its training saves them."""
    model = small_hlip(text_folder, grid=(14, 14, 14))
    names = {
        "image_encoder.": "module.visual.trunk.",
        "image_projection.": "module.visual.head.proj.",
        "text_encoder.bert.": "module.text.transformer.",
        "text_projection.": "module.text.proj.",
        "logit_scale": "module.logit_scale",
    }
    state = released_names(model, names)
    state["module.text.transformer.embeddings.position_ids"] = torch.arange(64)[None]
    return model, state

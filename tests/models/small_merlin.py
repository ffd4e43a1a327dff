"""A small Merlin with random weights, and the files its import needs."""

from __future__ import annotations

import json
import string
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from napari_ctclip.models.published.merlin import MERLIN_PREPROCESSING, Merlin
from napari_ctclip.models.published.merlin_checkpoint import save_merlin
from napari_ctclip.models.published.merlin_network import MerlinNetwork
from napari_ctclip.models.text.longformer_text_encoder import LongformerTextEncoder
from tests.models.random_weights import ready_with_named_weights, released_names

TEXT_WIDTH = 32


def write_longformer_folder(folder: Path) -> Path:
    """Write configuration and vocabulary of a tiny Longformer that spells every word."""
    folder.mkdir(parents=True)
    letters = [*string.ascii_lowercase, *string.digits, ".", ",", "-", "Ġ"]
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *letters, "<mask>"]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", "utf-8")
    config = {
        "model_type": "longformer",
        "vocab_size": len(pieces),
        "hidden_size": TEXT_WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "max_position_embeddings": 130,
        "type_vocab_size": 1,
        "attention_window": [64, 64],
        "pad_token_id": 1,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "sep_token_id": 2,
    }
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return folder


def small_merlin(text_folder: Path, *, shape: tuple[int, int, int] = (96, 96, 64)) -> Merlin:
    """Return a narrow and shallow Merlin that takes small images."""
    network = MerlinNetwork(layers=(1, 1, 1, 2), planes=(4, 4, 8, 8), embedding_width=16)
    model = Merlin(
        network,
        LongformerTextEncoder.untrained(text_folder),
        preprocessing=replace(MERLIN_PREPROCESSING, shape=shape),
    )
    return ready_with_named_weights(model)


def saved_merlin(folder: Path) -> Path:
    """Return the folder of a saved small model."""
    model = small_merlin(write_longformer_folder(folder / "texts"))
    save_merlin(model, folder / "model", text_folder=folder / "texts", provenance={})
    return folder / "model"


def released_merlin(text_folder: Path) -> tuple[Merlin, dict[str, Tensor]]:
    """Return a model and its weights under the names of the release, with what it never reads."""
    model = small_merlin(text_folder, shape=(224, 224, 160))
    names = {
        "image_encoder.": "encode_image.i3_resnet.",
        "text_encoder.longformer.": "encode_text.text_encoder.",
        "text_projection.": "encode_text.linear_layer.",
        "logit_scale": "logit_scale",
    }
    state = released_names(model, names)
    state["encode_image.i3_resnet.classifier.weight"] = torch.zeros(1692, 32, 1, 1, 1)
    state["encode_text.text_encoder.pooler.dense.bias"] = torch.zeros(TEXT_WIDTH)
    state["encode_text.text_encoder.embeddings.position_ids"] = torch.arange(130)[None]
    return model, state

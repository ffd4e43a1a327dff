"""A small FVLM with random weights, and the files its import needs."""

from __future__ import annotations

import json
import string
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from napari_ctclip.models.fvlm import FVLM
from napari_ctclip.models.text.bert_text_encoder import BertTextEncoder
from napari_ctclip.models.towers.vit3d import VisionTransformer3d
from tests.models.random_weights import released_names

WIDTH, TEXT_WIDTH, EMBEDDING_WIDTH = 64, 32, 24


class LetterTextEncoder(nn.Module):
    """Counts letters: no files, no transformers."""

    embedding_width = TEXT_WIDTH

    def encode(self, texts: Sequence[str]) -> Tensor:
        counts = [[t.lower().count(c) for c in string.ascii_lowercase + " .,-()"] for t in texts]
        return torch.tensor(counts, dtype=torch.float32)


def small_fvlm(text_encoder: nn.Module | None = None, *, seed: int = 0) -> FVLM:
    """Return a narrow FVLM; queries are random too, so that organs differ."""
    torch.manual_seed(seed)
    vit = VisionTransformer3d(width=WIDTH, heads=1, mlp_width=96)
    encoder = LetterTextEncoder() if text_encoder is None else text_encoder
    model = FVLM(vit, encoder, embedding_width=EMBEDDING_WIDTH)
    nn.init.normal_(model.organ_query.queries)
    return model.eval()


def write_text_folder(folder: Path) -> Path:
    """Write configuration and vocabulary of a tiny BERT that can spell any word."""
    folder.mkdir(parents=True)
    letters = string.ascii_lowercase
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", *letters]
    pieces += [f"##{letter}" for letter in letters]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", "utf-8")
    config = {
        "model_type": "cxr-bert",
        "vocab_size": len(pieces),
        "hidden_size": TEXT_WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "max_position_embeddings": 64,
        "projection_size": 16,
    }
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return folder


def released_weights(text_folder: Path) -> tuple[FVLM, dict[str, Tensor]]:
    """Return a model and its weights under the names of the release."""
    model = small_fvlm(BertTextEncoder.untrained(text_folder))
    names = {
        "image_encoder.": "visual_encoder.",
        "text_encoder.bert.": "text_encoder.",
        "text_projection.": "text_proj.",
        "organ_query.attention.": "attention.",
        "organ_query.projections.": "vision_projs.",
        "organ_query.queries": "query_tokens",
        "temperature": "temp",
    }
    return model, released_names(model, names)

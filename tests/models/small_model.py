"""A small untrained model of the starter's architecture."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from napari_ctclip.models.folder.checkpoint import SCHEMA_VERSION, build_model

ARCHITECTURE = {
    "embedding_width": 64,
    "image": {
        "stem_width": 8,
        "widths": [16, 16, 16, 16],
        "blocks": [1, 1, 1, 1],
        "top_down_width": 16,
        "token_width": 32,
    },
    "text": {"word_width": 16, "width": 48, "layers": 1, "heads": 3, "embedding_width": 32},
}
_WORDS = (
    *("lung", "nodule", "liver", "effusion", "no", "normal", "small", "a"),
    *("much", "longer", "sentence", "about", "large"),
)


def small_tokenizer() -> Tokenizer:
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", *_WORDS])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def small_description() -> dict:
    return {
        "schema_version": SCHEMA_VERSION,
        "name": "small",
        "background_prompts": ["normal lung"],
        "suggested_prompts": ["lung nodule"],
        "architecture": ARCHITECTURE,
        "preprocessing": {
            "orientation": "IPL",
            "spacing_mm": [2.0, 2.0, 2.0],
            "windows_hu": [[-1000, -500], [-1000, 200], [-160, 240], [-200, 1200]],
            "multiple_of": [16, 16, 16],
        },
    }


def small_model(seed: int = 0):
    torch.manual_seed(seed)
    return build_model(small_description(), small_tokenizer())

"""A small untrained model of the starter's architecture."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from napari_ctclip.models.dual_encoder import DualEncoder
from napari_ctclip.models.folder.model_folder import write_model_folder
from napari_ctclip.models.text.text_encoders import WordPieceTransformer
from napari_ctclip.models.towers.image_encoders import ResidualPyramid3d
from napari_ctclip.preprocessing.specification import Preprocessing

ARCHITECTURE: dict[str, Any] = {
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
_PREPROCESSING = Preprocessing(
    orientation="IPL",
    spacing_mm=(2.0, 2.0, 2.0),
    windows_hu=((-1000, -500), (-1000, 200), (-160, 240), (-200, 1200)),
    multiple_of=(16, 16, 16),
)
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


def small_model(seed: int = 0) -> DualEncoder:
    torch.manual_seed(seed)
    return DualEncoder(
        ResidualPyramid3d(4, **ARCHITECTURE["image"]),
        WordPieceTransformer(small_tokenizer(), **ARCHITECTURE["text"]),
        name="small",
        preprocessing=_PREPROCESSING,
        embedding_width=ARCHITECTURE["embedding_width"],
        background_prompts=["normal lung"],
        suggested_prompts=["lung nodule"],
    )


def saved_small_model(folder: Path, model: DualEncoder | None = None) -> Path:
    """Write the folder of a model of this architecture; return it."""
    model = model or small_model()
    texts = folder.parent / f"{folder.name}_texts"
    texts.mkdir(parents=True)
    small_tokenizer().save(str(texts / "tokenizer.json"))
    parts = {"image": "cnn", "text": "word_piece"}
    tables = {part: {"kind": kind, **ARCHITECTURE[part]} for part, kind in parts.items()}
    write_model_folder(
        folder,
        weights=model.state_dict(),
        description={
            "name": model.name,
            "licence": "Apache-2.0",
            "embedding_width": model.embedding_width,
            "background_prompts": model.background_prompts,
            "suggested_prompts": model.suggested_prompts,
            "calibration": model.calibration and asdict(model.calibration),
            "architecture": {"kind": "towers", **tables},
            "preprocessing": model.preprocessing.to_dict(),
            "training": {"steps": 2},
        },
        text_folder=texts,
        precision=torch.float16,
    )
    return folder

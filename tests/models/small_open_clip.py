"""Small open_clip models with random weights, one of each kind of tower."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from napari_ctclip.models.published.open_clip_adapter import untrained_open_clip
from napari_ctclip.models.published.slice_model import SliceModel
from tests.models.small_fvlm import write_text_folder

WIDTH = 24
_TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
_VIT = {"image_size": 64, "layers": 3, "width": 64, "head_width": 32, "patch_size": 16}
_TIMM_VIT = {"timm_model_name": "test_vit", "timm_proj": "linear", "image_size": 160}
TOWERS: dict[str, dict[str, Any]] = {
    "vit": _VIT,
    "vit-mean": _VIT | {"pool_type": "avg", "final_ln_after_pool": True},
    "vit-other-blocks": _VIT | {"block_type": "custom", "qk_norm": True},
    "coca": _VIT | {"attentional_pool": True, "attn_pooler_heads": 2, "attn_pooler_queries": 5},
    "resnet": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "head_width": 32},
    "timm-vit": _TIMM_VIT | {"timm_pool": "token"},
    "timm-vit-mean": _TIMM_VIT | {"timm_pool": "avg"},
    "timm-siglip": _TIMM_VIT | {"timm_pool": "map", "timm_proj": "none"},
    "timm-convnext": _TIMM_VIT | {"timm_model_name": "test_convnext", "timm_pool": ""},
    "timm-resnet": _TIMM_VIT | {"timm_model_name": "test_resnet", "timm_pool": "avg"},
}


def model_cfg(tower: str) -> dict[str, Any]:
    """Return the ``model_cfg`` of one of ``TOWERS``."""
    width = 64 if tower == "timm-siglip" else WIDTH
    cfg: dict[str, Any] = {"embed_dim": width, "vision_cfg": TOWERS[tower], "text_cfg": _TEXT}
    return cfg | ({"custom_text": True} if tower.startswith("timm") else {})


def small_open_clip(tower: str = "vit", *, seed: int = 0) -> SliceModel:
    """Return a model whose image tower is one of ``TOWERS``."""
    return untrained_open_clip(model_cfg(tower), seed=seed)


def small_bert_open_clip(folder: Path) -> SliceModel:
    """Return a model built as BiomedCLIP is: a timm ViT and a BERT, from files in ``folder``."""
    write_text_folder(folder)
    settings = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(settings | {"model_type": "bert"}), "utf-8")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}', "utf-8")
    text = {
        "hf_model_name": str(folder),
        "hf_tokenizer_name": str(folder),
        "hf_proj_type": "mlp",
        "hf_pooler_type": "cls_last_hidden_state_pooler",
        "context_length": 32,
    }
    return untrained_open_clip(model_cfg("timm-vit") | {"text_cfg": text}, folder=folder)

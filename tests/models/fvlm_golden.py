"""The golden cases of fVLM's released code, as our model and batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_ctclip.models.fvlm import FVLM, FVLM_ANATOMIES
from napari_ctclip.models.interface import FeatureMap
from napari_ctclip.models.towers.vit3d import VisionTransformer3d
from napari_ctclip.pretraining.data.samples import StudyBatch
from napari_ctclip.reports.captions import read_caption
from tests.paths import DATA

PATCH = (16, 16, 32)


class TableTextEncoder(nn.Module):
    """Answers with the vector a table holds for a text."""

    def __init__(self, table: dict[str, Tensor]) -> None:
        super().__init__()
        self.table = table
        self.embedding_width = len(next(iter(table.values())))

    def encode(self, texts: Sequence[str]) -> Tensor:
        return torch.stack([self.table[text] for text in texts])


class GivenFeatures(FVLM):
    """An FVLM whose image encoder's answer is given."""

    features: FeatureMap

    def encode_image(self, image: Tensor) -> FeatureMap:
        return self.features


@dataclass
class GoldenCase:
    """One golden file: the model with its weights, the batch, and the numbers to meet."""

    model: GivenFeatures
    batch: StudyBatch
    arrays: dict[str, Any]


def golden_case(number: int) -> GoldenCase:
    """Return a golden case as our parts."""
    with np.load(DATA / f"fvlm_case{number}.npz") as file:
        arrays = {name: file[name] for name in file.files}
    table = dict(
        zip(arrays["text_keys"].tolist(), torch.from_numpy(arrays["text_embeds"]), strict=True)
    )
    vit = VisionTransformer3d(width=48, heads=4, mlp_width=96, depth=1, level_blocks=())
    model = GivenFeatures(vit, TableTextEncoder(table)).eval()
    _load(
        model,
        {
            name: torch.from_numpy(np.asarray(a))
            for name, a in arrays.items()
            if a.dtype.kind == "f"
        },
    )
    seg = torch.from_numpy(arrays["seg"])
    grid = [n // p for n, p in zip(seg.shape[1:], PATCH, strict=True)]
    levels = torch.from_numpy(arrays["levels"]).transpose(2, 3).unflatten(3, grid)
    model.features = FeatureMap(tuple(levels))
    masks = torch.stack([seg == label for label in range(1, 5)], dim=1)
    captions = tuple(
        tuple(read_caption(text, organ) for text, organ in zip(row, FVLM_ANATOMIES, strict=True))
        for row in arrays["captions"].T.tolist()  # patients x organs
    )
    return GoldenCase(model, StudyBatch(torch.zeros(6, 1, 1, 1, 1), masks, captions), arrays)


def _load(model: FVLM, arrays: dict[str, Tensor]) -> None:
    query, attention = model.organ_query, model.organ_query.attention
    with torch.no_grad():
        attention.in_proj_weight.copy_(arrays["in_proj_weight"])
        attention.in_proj_bias.copy_(arrays["in_proj_bias"])
        attention.out_proj.weight.copy_(arrays["out_proj_weight"])
        attention.out_proj.bias.copy_(arrays["out_proj_bias"])
        query.queries.copy_(arrays["query_tokens"])
        for organ in range(len(FVLM_ANATOMIES)):
            query.projections[organ].weight.copy_(arrays["vision_proj_weight"][organ])
            query.projections[organ].bias.copy_(arrays["vision_proj_bias"][organ])
        model.text_projection.weight.copy_(arrays["text_proj_weight"])
        model.text_projection.bias.copy_(arrays["text_proj_bias"])
        model.temperature.copy_(arrays["temp"])

"""Patches: from changed prompts to the ranked patches of a montage, everything encoded."""

from __future__ import annotations

import time

import numpy as np
import torch
from torch.nn import functional

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.models.factory import load_model
from napari_ctclip.regions.patches import PatchGrid, PatchPlan
from napari_ctclip.regions.ranking import best_patches
from napari_ctclip.scoring.encoded_patches import EncodedPatches
from napari_ctclip.scoring.patch_scores import PatchPrompts

_PATCHES, _ROUNDS = 4000, 20


def run() -> dict[str, str]:
    """Return the benchmark's lines."""
    model = load_model("starter-2d")
    rng = np.random.default_rng(0)
    geometry = Geometry.from_spacing((60, 512, 512), (5.0, 0.7, 0.7))
    centres = rng.integers((0, 50, 50), (60, 460, 460), (_PATCHES, 3))
    grid = PatchGrid(centres, np.ones(_PATCHES, np.float32), geometry, PatchPlan())
    width = model.embed_text(["lung"]).shape[1]
    vectors = functional.normalize(torch.randn(_PATCHES, width), dim=1)
    patches = EncodedPatches(grid, vectors)
    spent = []
    for number in range(_ROUNDS):
        prompts = PatchPrompts((f"nodule number {number}", f"mass number {number}"))
        start = time.perf_counter()
        scores = patches.scores(model, prompts)
        best_patches(grid, scores, count=16)
        spent.append(1000 * (time.perf_counter() - start))
    p50, p95 = np.percentile(spent, (50, 95))
    return {
        f"new prompts rank {_PATCHES} patches: median": f"{p50:.0f} ms",
        f"new prompts rank {_PATCHES} patches: p95 (aim <= 50)": f"{p95:.0f} ms",
    }

"""Slices of an open_clip model: the dense map against patches slid over the same grid."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from napari_ctclip.core.study import Study
from napari_ctclip.encoding.encoding import encode_input
from napari_ctclip.encoding.patch_encoding import (
    cut_patches,
    encode_patches,
    patch_pixels,
    sliding_centres,
)
from napari_ctclip.models.published.open_clip_adapter import untrained_open_clip
from napari_ctclip.preprocessing.specification import ModelInput

_ARCHITECTURE = "ViT-B-32"
_SLICES = 4
_PATCH_MM = 64.0


def run(study: Study) -> dict[str, str]:
    """Return the benchmark's lines."""
    model = untrained_open_clip(_ARCHITECTURE).requires_grad_(False)
    whole = model.preprocessing.prepare(study.volume)
    middle = whole.image.shape[1] // 2
    kept = slice(middle, middle + _SLICES)
    some = ModelInput(whole.image[:, kept], whole.geometry, whole.inside[kept])
    _, stride, _ = model.patch_size
    # one patch about the middle of each place; those beyond the border see air there
    centres = sliding_centres(some.image.shape[1:], size=stride, stride=stride, slices=[0])
    side = patch_pixels(some, _PATCH_MM)
    patches = torch.from_numpy(cut_patches(some.image, centres, size=side))
    pictures = torch.nn.functional.interpolate(patches, model.image_size, mode="bilinear")

    def one_by_one() -> None:
        for picture in pictures:
            model.clip.encode_image(picture[None], normalize=True)

    dense = _seconds(lambda: encode_input(model, some)) / _SLICES
    sliding = _seconds(
        lambda: encode_patches(model, some, centres=centres, size_mm=_PATCH_MM), warm_up=False
    )
    plain = _seconds(one_by_one, warm_up=False)
    places = f"{len(centres)} places"
    return {
        f"open_clip {_ARCHITECTURE}: dense map, a slice of {places}": f"{dense:.2f} s",
        "  patches slid over the same grid, in batches (aim >= 10 x)": f"{sliding / dense:.0f} x",
        "  the same, one encode_image call each": f"{plain / dense:.0f} x",
    }


@torch.inference_mode()
def _seconds(work: Callable[[], object], *, warm_up: bool = True) -> float:
    if warm_up:
        work()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start

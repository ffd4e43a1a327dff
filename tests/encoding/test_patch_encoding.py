from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_ctclip.core.errors import Cancelled, DataError
from napari_ctclip.encoding.patch_encoding import (
    cut_patches,
    encode_patches,
    patch_pixels,
    sliding_centres,
)
from napari_ctclip.encoding.work import Work
from tests.models.small_open_clip import small_open_clip
from tests.phantom import ball_study


def test_sliding_patches_lie_inside_the_slice_a_stride_apart() -> None:
    centres = sliding_centres((3, 20, 17), size=8, stride=4, slices=(0, 2))
    assert set(centres[:, 0]) == {0, 2}
    assert sorted(set(centres[:, 1])) == [4, 8, 12, 16]
    assert sorted(set(centres[:, 2])) == [4, 8, 12]
    assert len(centres) == 2 * 4 * 3


def test_patch_is_cut_about_its_centre_and_is_air_beyond_the_slice() -> None:
    image = np.random.default_rng(0).random((3, 2, 20, 20)).astype(np.float32)
    whole, corner = cut_patches(image, np.array([[1, 10, 8], [0, 1, 19]]), size=6)
    assert np.array_equal(whole, image[:, 1, 7:13, 5:11])
    assert np.array_equal(corner[:, 2:, :4], image[:, 0, :4, 16:])
    assert not corner[:, :2].any()
    assert not corner[:, :, 4:].any()


@pytest.mark.parametrize("tower", ["vit", "resnet", "timm-vit"])
def test_patches_are_embedded_as_the_model_embeds_pictures(tower: str) -> None:
    model = small_open_clip(tower)
    prepared = model.preprocessing.prepare(ball_study().volume)
    centres = sliding_centres(prepared.image.shape[1:], size=48, stride=24)
    vectors = encode_patches(model, prepared, centres=centres, size_mm=36.0)
    assert vectors.shape[0] == len(centres) > 32  # more than one batch
    assert torch.allclose(vectors.norm(dim=1), torch.ones(len(centres)), atol=1e-5)
    side = patch_pixels(prepared, 36.0)
    picture = torch.from_numpy(cut_patches(prepared.image, centres[40:41], size=side))
    resized = torch.nn.functional.interpolate(
        picture, model.image_size, mode="bilinear", antialias=True
    )
    with torch.inference_mode():
        expected = model.clip.encode_image((resized - model.mean) / model.std, normalize=True)
    # bfloat16 where the processor has it
    assert float(expected[0] @ vectors[40]) > 0.999


def test_encoding_patches_reports_progress_and_can_be_cancelled() -> None:
    model = small_open_clip()
    prepared = model.preprocessing.prepare(ball_study().volume)
    centres = sliding_centres(prepared.image.shape[1:], size=32, stride=16)[:70]
    seen: list[tuple[int, int]] = []
    encode_patches(
        model,
        prepared,
        centres=centres,
        size_mm=24.0,
        work=Work(progress=lambda done, total: seen.append((done, total))),
    )
    assert seen == [(0, 70), (32, 70), (64, 70), (70, 70)]
    seen.clear()
    with pytest.raises(Cancelled):
        encode_patches(
            model,
            prepared,
            centres=centres,
            size_mm=24.0,
            work=Work(
                progress=lambda done, total: seen.append((done, total)),
                should_stop=lambda: bool(seen),
            ),
        )
    assert seen == [(0, 70)]


def test_no_patch_and_a_patch_below_a_pixel_are_refused() -> None:
    model = small_open_clip()
    prepared = model.preprocessing.prepare(ball_study().volume)
    with pytest.raises(DataError, match="at least one patch"):
        encode_patches(model, prepared, centres=np.empty((0, 3), np.intp), size_mm=24.0)
    with pytest.raises(DataError, match="smaller than a pixel"):
        patch_pixels(prepared, 0.2)

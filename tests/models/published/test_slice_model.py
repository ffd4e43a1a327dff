"""A 2D model on a scan: slice by slice, in any plane."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_ctclip.core.errors import CtClipError, DataError
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume
from napari_ctclip.encoding.encoding import encode_input
from napari_ctclip.models.published.slice_model import (
    PLANES,
    Plane,
    SliceModel,
    slice_preprocessing,
)
from napari_ctclip.scoring.heatmap import TokenIndex
from tests.models.small_open_clip import small_open_clip
from tests.phantom import BALL_CENTRE, ball_study


def test_every_slice_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_open_clip()
    seen: list[int] = []
    encode = model.encode_image

    def counted(image: torch.Tensor):
        seen.append(image.shape[2])
        return encode(image)

    monkeypatch.setattr(model, "encode_image", counted)
    prepared = model.preprocessing.prepare(ball_study().volume)
    scan = encode_input(model, prepared)
    assert sum(seen) == prepared.image.shape[1] == scan.token_geometry.shape[0]
    assert max(seen) <= 4
    with torch.inference_mode():
        alone = encode(torch.from_numpy(prepared.image[None, :, 9:10]))
    assert torch.allclose(scan.features.levels[0][:, :, 9:10], alone.levels[0], atol=2e-2)
    assert torch.allclose(scan.features.levels[1][:, :, 9:10], alone.levels[1], atol=2e-2)


@pytest.mark.parametrize("codes", ["IPL", "RAS", "LAS", "AIR"])
@pytest.mark.parametrize("plane", PLANES)
def test_heat_of_slices_peaks_where_the_ball_lies_in_the_patient(
    plane: Plane, codes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small_open_clip()
    preprocessing = slice_preprocessing(16, plane)
    volume = ball_study().volume
    transform = volume.geometry.transform_to(codes)
    stored = Volume.from_stored(
        transform.apply(volume.voxels), volume.geometry.reoriented(transform)
    )
    prepared = preprocessing.prepare(stored)
    # the ball by its brightness: the slice and the place in it that hold most of it
    D, H, W = prepared.image.shape[1:]
    bright = prepared.image[2].reshape(D, H // 16, 16, W // 16, 16).mean(axis=(2, 4))
    z, y, x = np.unravel_index(np.argmax(bright), bright.shape)
    with torch.inference_mode():
        alone = model.encode_image(torch.from_numpy(prepared.image[None, :, z : z + 1]))
        looked_for = model.embed_dense(alone)[0, :, 0, y, x]
    monkeypatch.setattr(model, "embed_text", lambda texts: torch.stack([looked_for, -looked_for]))
    peak = TokenIndex(model, encode_input(model, prepared)).similarity_map(Prompt("ball")).peak()
    assert peak is not None
    centre = volume.geometry.index_to_world(BALL_CENTRE)
    assert np.abs(np.asarray(peak.world_mm) - centre).max() < 8.0


def test_unknown_plane_and_wrong_channels_are_refused() -> None:
    with pytest.raises(DataError, match="no plane 'oblique'"):
        slice_preprocessing(16, "oblique")  # type: ignore[arg-type]
    model = small_open_clip()
    one = type(model.preprocessing)("IPL", (5.0, 1.0, 1.0), ((-1000.0, 0.0),), (1, 16, 16))
    with pytest.raises(DataError, match="takes three HU windows"):
        SliceModel(model.clip, model.tokenizer, config=model.config, name="x", preprocessing=one)
    with pytest.raises(CtClipError, match="divisible by 16"):
        model.encode_image(torch.rand(1, 3, 2, 50, 64))


def test_thin_scan_of_one_slice_is_encoded() -> None:
    model = small_open_clip()
    geometry = Geometry.from_spacing((1, 100, 90), (5.0, 1.0, 1.0))
    study = Study(Volume(np.zeros((1, 100, 90), np.int16), geometry))
    scan = encode_input(model, model.preprocessing.prepare(study.volume))
    assert scan.token_geometry.shape == (1, 9, 8)

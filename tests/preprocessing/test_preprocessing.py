from __future__ import annotations

import numpy as np
import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.volume import Volume
from napari_ctclip.preprocessing.spatial import resample_labels, resample_volume
from napari_ctclip.preprocessing.specification import Preprocessing
from tests.phantom import BALL_CENTRE, ball_study

SPECIFICATION = Preprocessing(
    "IPL", (2.0, 2.0, 2.0), ((-1000.0, 1000.0), (0.0, 100.0)), (16, 16, 16)
)


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (5.0, 3.0, 1.0), (0.9, 0.7, 1.4)])
def test_resampling_keeps_a_linear_ramp_where_it_lies(spacing: tuple[float, ...]) -> None:
    geometry = Geometry.from_spacing((30, 40, 50), (2.5, 0.8, 1.1), origin_ras=(3, 4, 5))
    ramp = geometry.index_to_world(np.stack(np.indices(geometry.shape), axis=-1)) @ (1.0, 2.0, 3.0)
    resampled, target = resample_volume(ramp.astype(np.float32), geometry, spacing)
    expected = target.index_to_world(np.stack(np.indices(target.shape), axis=-1)) @ (1.0, 2.0, 3.0)
    inner = (slice(4, -4),) * 3
    # 0.4 on a slope of 3.7 a millimetre: a tenth of a millimetre
    assert np.allclose(resampled[inner], expected[inner], atol=0.4)


def test_coarser_grid_averages_noise_down() -> None:
    geometry = Geometry.from_spacing((40, 40, 40), (1.0, 1.0, 1.0))
    noise = np.random.default_rng(0).normal(0, 100, geometry.shape).astype(np.float32)
    resampled, _ = resample_volume(noise, geometry, (4.0, 4.0, 4.0))
    assert resampled.std() < 25


def test_prepared_ball_lies_where_it_lay_in_the_patient() -> None:
    study = ball_study()
    for orientation in ("IPL", "SPL", "RAS"):
        spec = Preprocessing(orientation, (2.0, 2.0, 2.0), ((-1000.0, 1000.0),))
        prepared = spec.prepare(study.volume)
        bright = np.argwhere(prepared.image[0] > 0.7).mean(axis=0)
        centre = study.volume.geometry.index_to_world(BALL_CENTRE)
        assert np.allclose(prepared.geometry.index_to_world(bright), centre, atol=0.5)


def test_image_is_windowed_to_0_1_and_padded_with_air_outside_the_field_of_view() -> None:
    prepared = SPECIFICATION.prepare(ball_study().volume)
    assert prepared.image.shape == (2, 48, 48, 48)
    assert prepared.image.min() == 0.0
    assert prepared.image.max() <= 1.0
    assert prepared.image[:, ~prepared.inside].max() == 0.0
    assert prepared.inside.sum() == 40 * 36 * 48


def test_labels_outside_their_grid_are_none() -> None:
    geometry = Geometry.from_spacing((4, 4, 4), (1.0, 1.0, 1.0))
    labels = np.ones(geometry.shape, dtype=np.uint8)
    target = geometry.padded((2, 2, 2), (2, 2, 2))
    found = resample_labels(labels, geometry, target)
    assert found.sum() == 64
    assert found[2:6, 2:6, 2:6].all()


def test_specification_survives_its_own_dictionary() -> None:
    assert Preprocessing.from_dict(SPECIFICATION.to_dict()) == SPECIFICATION
    assert Preprocessing.from_dict(SPECIFICATION.to_dict()).hash() == SPECIFICATION.hash()


def test_unknown_key_is_named() -> None:
    with pytest.raises(DataError, match="spacings"):
        Preprocessing.from_dict({**SPECIFICATION.to_dict(), "spacings": 1})


def test_single_slice_volume_can_be_prepared() -> None:
    volume = Volume(
        np.zeros((1, 8, 8), np.int16), Geometry.from_spacing((1, 8, 8), (5.0, 1.0, 1.0))
    )
    assert SPECIFICATION.prepare(volume).image.shape == (2, 16, 16, 16)


def test_image_of_one_shape_is_cropped_and_padded_about_the_centre_of_the_scan() -> None:
    study = ball_study()  # 80 x 72 x 96 mm
    spec = Preprocessing(
        "IPL", (2.0, 2.0, 2.0), ((-1000.0, 1000.0),), shape=(43, 21, 48), padding="minimum"
    )
    prepared = spec.prepare(study.volume)
    assert prepared.image.shape == (1, 43, 21, 48)
    assert prepared.inside.sum() == 40 * 21 * 48
    assert prepared.inside[2:42].all()  # the odd voxel of padding comes first
    # the lowest of the scan is -900, not the window's -1000
    assert np.allclose(prepared.image[:, ~prepared.inside], 0.05)
    bright = np.argwhere(prepared.image[0] > 0.7).mean(axis=0)
    centre = study.volume.geometry.index_to_world(BALL_CENTRE)
    assert np.allclose(prepared.geometry.index_to_world(bright), centre, atol=0.5)


def test_plain_linear_resampling_takes_two_voxels_an_axis_within_the_field_of_view() -> None:
    geometry = Geometry.from_spacing((9, 10, 1), (1.0, 1.0, 1.0))
    spiked = np.zeros(geometry.shape, dtype=np.float32)
    spiked[4, 5] = 100.0
    plain, target = resample_volume(spiked, geometry, (3.0, 3.0, 3.0), resampling="linear")
    assert target.shape == (3, 3, 1)
    # centres along the second axis are 1.5, 4.5, 7.5: half of the spike, and nothing beside it
    assert np.allclose(plain[:, :, 0], [[0, 0, 0], [0, 50, 0], [0, 0, 0]])
    averaged, _ = resample_volume(spiked, geometry, (3.0, 3.0, 3.0))
    assert averaged.max() < 15


def test_specification_of_every_option_survives_its_dictionary_and_a_wrong_choice_is_named() -> (
    None
):
    full = Preprocessing(
        "RAS",
        (2.0, 2.0, 2.0),
        ((-1000.0, 1000.0),),
        resampling="linear",
        shape=(64, 64, 64),
        padding="minimum",
    )
    assert Preprocessing.from_dict(full.to_dict()) == full
    assert full.hash() != Preprocessing("RAS", (2.0, 2.0, 2.0), ((-1000.0, 1000.0),)).hash()
    assert set(SPECIFICATION.to_dict()) == {
        *("orientation", "spacing_mm", "windows_hu", "multiple_of"),
    }
    with pytest.raises(DataError, match="resampling is 'cubic'; expected one of average, linear"):
        Preprocessing.from_dict(full.to_dict() | {"resampling": "cubic"})

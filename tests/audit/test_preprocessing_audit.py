from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_ctclip.audit.preprocessing_audit import PreprocessingAudit, audit
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume
from napari_ctclip.testing import TinyModel
from tests.models.small_fvlm import small_fvlm
from tests.phantom import SHAPE, ball_study


def _codes(found: PreprocessingAudit) -> set[str]:
    return {notice.code for notice in found.notices}


def _slab(spacing_mm: tuple[float, float, float], shape: tuple[int, int, int]) -> Study:
    voxels = np.full(shape, 40, dtype=np.int16)
    return Study(Volume(voxels, Geometry.from_spacing(shape, spacing_mm)))


def test_audit_describes_the_very_image_that_is_encoded() -> None:
    model = TinyModel(orientation="SAR", spacing_mm=(4.0, 3.0, 1.0), patch_size=(4, 2, 8))
    volume = ball_study().volume
    found, prepared = audit(Study(volume), model), model.preprocessing.prepare(volume)
    assert np.array_equal(found.model_input.image, prepared.image)
    assert found.shape_prepared == prepared.geometry.shape
    assert (found.orientation_found, found.orientation_wanted) == ("IPL", "SAR")
    assert found.spacing_found_mm == pytest.approx((2.0, 1.5, 1.5))
    assert found.resampling == pytest.approx((0.5, 0.5, 1.5))
    assert found.token_shape == prepared.geometry.coarsened(model.patch_size).shape
    assert found.padding == pytest.approx(1 - prepared.inside.mean())
    assert found.window_shapes == ((16, 24, 96), (16, 24, 96))[: len(found.window_shapes)]


def test_orientation_found_is_the_files_own() -> None:
    volume = ball_study().volume
    transform = volume.geometry.transform_to("RAS")
    stored = Volume.from_stored(
        np.ascontiguousarray(transform.apply(volume.voxels)), volume.geometry.reoriented(transform)
    )
    assert audit(Study(stored), TinyModel()).orientation_found == "RAS"


def test_clipped_shares_are_counted() -> None:
    # a block of which a fourth lies below the window and half above it; no air: no body to find
    study = _slab((2.0, 2.0, 2.0), (80, 80, 80))
    study.volume.voxels[:20] = -1500
    study.volume.voxels[40:] = 1600
    model = TinyModel()
    (window,) = audit(study, model).windows
    assert (window.low, window.high) == (-1000.0, 1000.0)
    found = audit(study, model)
    # blocks of about 2 mm are clipped to -1024..3071 first, and both ends are beyond the window
    assert found.lost == pytest.approx(window.below + window.above)
    assert window.above > 0.4
    assert "outside-windows" in _codes(found)


@pytest.mark.parametrize(
    ("spacing", "shape", "code"),
    [
        ((8.0, 1.0, 1.0), (30, 200, 200), "coarser-than-model"),
        ((0.4, 1.0, 1.0), (500, 130, 130), "finer-than-model"),
        ((1.0, 1.0, 1.0), (40, 200, 200), "small-field-of-view"),
    ],
)
def test_scan_far_from_what_the_model_expects_is_warned_of(
    spacing: tuple[float, float, float], shape: tuple[int, int, int], code: str
) -> None:
    assert code in _codes(audit(_slab(spacing, shape), TinyModel()))


def test_scan_as_the_model_expects_it_is_not_warned_of() -> None:
    _, y, x = np.indices((80, 80, 80))
    voxels = np.where((y - 40) ** 2 + (x - 40) ** 2 < 30**2, 40, -1000).astype(np.int16)
    study = Study(Volume(voxels, Geometry.from_spacing(voxels.shape, (2.0, 2.0, 2.0))))
    assert audit(study, TinyModel()).notices == ()


def test_tilted_scan_is_warned_of() -> None:
    study = _slab((2.0, 2.0, 2.0), (70, 70, 70))
    affine = study.volume.geometry.affine.copy()
    turn = np.eye(4)
    angle = np.radians(12)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    tilted = Volume(study.volume.voxels, Geometry(study.volume.geometry.shape, turn @ affine))
    assert "oblique" in _codes(audit(Study(tilted), TinyModel()))


def test_organ_crops_tell_what_falls_outside_and_which_organs_are_cut() -> None:
    model, study = small_fvlm(), ball_study()
    found = audit(study, model)
    (crop,) = found.crops
    assert crop.organs == ("lung",)
    assert crop.shape == (112, 256, 352)
    assert 0.9 < crop.padding < 1.0
    assert found.cut_organs == ("lung",)
    assert {"mostly-padding", "organ-cut-by-scan", "organs-not-scored"} <= _codes(found)


def test_what_no_crop_shows_is_counted() -> None:
    shape = (60, 100, 100)
    labels = np.zeros(shape, dtype=np.uint8)
    labels[20:30, 40:60, 40:60] = 1
    geometry = Geometry.from_spacing(shape, (3.0, 1.0, 1.0))
    voxels = np.full(shape, 40, dtype=np.int16)
    study = Study(Volume(voxels, geometry), OrganMasks(labels, {"heart": 1}, geometry))
    model = small_fvlm()
    found = audit(study, model)
    margin = model.crop_protocol.margin
    seen = (10 + 2 * margin[0]) * (20 + 2 * margin[1]) * (20 + 2 * margin[2])
    assert found.outside_crops == pytest.approx(1 - seen / (60 * 100 * 100), abs=0.02)
    assert found.cut_organs == ()


def test_model_of_organs_without_masks_asks_for_them() -> None:
    found = audit(ball_study(with_masks=False), small_fvlm())
    assert found.crops == ()
    assert "organ-masks-needed" in _codes(found)


def test_part_of_the_scan_that_the_model_is_not_shown_is_counted() -> None:
    class _Cropping(TinyModel):
        """Shows the encoder the first half of the slices only."""

        def __init__(self) -> None:
            super().__init__()
            whole = self.preprocessing

            class _Half:
                orientation, spacing_mm = whole.orientation, whole.spacing_mm
                windows_hu, multiple_of = whole.windows_hu, whole.multiple_of

                @staticmethod
                def prepare(volume: Volume):
                    prepared = whole.prepare(volume)
                    half = prepared.geometry.shape[0] // 2
                    stop = (half, *prepared.geometry.shape[1:])
                    return replace(
                        prepared,
                        image=prepared.image[:, :half],
                        inside=prepared.inside[:half],
                        geometry=prepared.geometry.cropped((0, 0, 0), stop),
                    )

            self.preprocessing = _Half()  # type: ignore[assignment]

    found = audit(ball_study(), _Cropping())
    assert found.shape_prepared[0] == SHAPE[0] // 2
    assert found.cropped == pytest.approx(0.5, abs=0.01)
    assert "cropped" in _codes(found)

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from io import BytesIO
from math import prod

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from torch import Tensor, nn

from napari_ctclip.audit import cost
from napari_ctclip.audit.cost import estimate_cost
from napari_ctclip.audit.counted_pass import count_pass
from napari_ctclip.audit.preprocessing_audit import audit
from napari_ctclip.audit.study_check import check_study
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume
from napari_ctclip.models.fvlm import FVLM
from napari_ctclip.models.interface import FeatureMap
from napari_ctclip.models.towers.vit3d import VisionTransformer3d
from napari_ctclip.testing import TinyModel
from tests.models.small_fvlm import LetterTextEncoder, small_fvlm
from tests.phantom import ball_study


class _Convolution(TinyModel, nn.Module):
    def __init__(self) -> None:
        nn.Module.__init__(self)
        TinyModel.__init__(self)
        self.layer = nn.Conv3d(1, 4, 2, stride=2, bias=False)

    def encode_image(self, image: Tensor) -> FeatureMap:
        return FeatureMap((self.layer(image),))


class _OneShape(_Convolution):
    """Takes 8 x 16 x 16 voxels, as models with a position for every place do."""

    def __init__(self) -> None:
        super().__init__()
        self.preprocessing = replace(self.preprocessing, shape=(8, 16, 16))
        self.passes = 0

    def encode_image(self, image: Tensor) -> FeatureMap:
        assert image.shape[2:] == (8, 16, 16)
        self.passes += 1
        return super().encode_image(image)


def _slab(spacing_mm: tuple[float, float, float], shape: tuple[int, int, int]) -> Study:
    voxels = np.full(shape, 40, dtype=np.int16)
    geometry = Geometry.from_spacing(shape, spacing_mm, codes="SPL")
    return Study(Volume.from_stored(voxels, geometry))


def test_operations_of_a_convolution_are_two_a_multiply_add() -> None:
    found = count_pass(_Convolution(), torch.zeros(1, 1, 8, 16, 32))
    assert found.flop == 2 * 8 * 4 * (4 * 8 * 16)
    image, tokens = 4 * 8 * 16 * 32, 4 * 4 * 4 * 8 * 16
    assert found.memory_bytes == image + tokens
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_model_of_one_shape_is_counted_and_timed_in_one_whole_pass() -> None:
    model = _OneShape()
    found = estimate_cost(model, audit(_slab((2.0, 2.0, 2.0), (20, 30, 12)), model))
    assert model.passes == 1
    assert found.timed_shape == (8, 16, 16)
    assert found.flop == count_pass(model, torch.zeros(1, 1, 8, 16, 16)).flop
    assert found.seconds > 0


def test_fvlm_of_the_release_takes_140_billion_multiply_adds_a_crop() -> None:
    # the published design, counted by hand: 132.6 in the blocks, 7.75 in the patch embedding; one
    # block is run, the rest are its like
    vit = VisionTransformer3d(depth=1, level_blocks=()).eval()
    model = FVLM(vit, LetterTextEncoder()).eval()
    shape = (112, 256, 352)
    study = _slab((3.0, 1.0, 1.0), shape)
    found = cost._counted(model, audit(study, model), "cpu").flop(shape) / 2e9
    embedding = 1232 * 768 * 16 * 16 * 32 / 1e9
    assert embedding == pytest.approx(7.75, abs=0.01)
    assert embedding + 12 * (found - embedding) == pytest.approx(140.4, abs=0.1)


def test_counts_carried_on_to_a_whole_window_are_those_of_the_window() -> None:
    model, study = small_fvlm(), _slab((3.0, 1.0, 1.0), (64, 96, 96))
    audited = audit(study, model)
    shape = audited.window_shapes[0]
    assert shape == (64, 96, 96)
    growth = cost._counted(model, audited, "cpu")
    whole = count_pass(model, torch.zeros(1, 1, *shape))
    assert growth.square > 0
    assert growth.flop(shape) == pytest.approx(whole.flop, rel=1e-6)
    # counted on a small window, whose fixed part weighs more: never too little, a quarter too much
    said = growth.bytes_a_voxel * 64 * 96 * 96
    assert 0.95 * whole.memory_bytes < said < 1.3 * whole.memory_bytes


def test_time_is_scaled_by_operations_of_all_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    model, study = small_fvlm(), ball_study()
    monkeypatch.setattr(cost, "_timed", lambda *_: 2.0)
    audited = audit(study, model)
    found = estimate_cost(model, audited)
    growth = cost._counted(model, audited, "cpu")
    flops = [growth.flop(shape) for shape in (audited.window_shapes[0], (112, 256, 352))]
    assert found.passes == 2
    assert found.flop == pytest.approx(sum(flops))
    assert found.seconds == pytest.approx(2.0 * sum(flops) / growth.flop(found.timed_shape))


def test_model_without_countable_operations_is_scaled_by_voxels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cost, "_timed", lambda *_: 1.0)
    model = TinyModel()
    audited = audit(ball_study(), model)
    found = estimate_cost(model, audited)
    voxels = sum(prod(shape) for shape in audited.window_shapes)
    assert found.flop == 0
    assert found.seconds == pytest.approx(voxels / prod(found.timed_shape))


def test_too_little_free_memory_is_told_before_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "_free_bytes", lambda device: 1000)
    found = estimate_cost(TinyModel(), audit(ball_study(), TinyModel()))
    assert [notice.code for notice in found.notices] == ["memory-short"]


def test_check_tells_both_and_draws_every_channel() -> None:
    check = check_study(small_fvlm(), ball_study())
    told = {row.what for row in check.rows()}
    assert {"orientation", "HU window", "padding", "organ crop", "passes", "memory", "time"} <= told
    picture = imread(BytesIO(check.picture))
    assert picture.shape[0] > 200
    red = (picture[..., 0] > picture[..., 1] + 0.2) & (picture[..., 2] < 0.3)
    assert red.mean() > 0.05  # padding is tinted


def test_counting_never_loads_triton() -> None:
    # its LLVM and that of a software OpenGL in one process end it by a segmentation fault
    code = (
        "import sys; import torch; from napari_ctclip.audit.counted_pass import count_pass; "
        "from napari_ctclip.testing import TinyModel; "
        "count_pass(TinyModel(), torch.zeros(1, 1, 4, 4, 4)); "
        "assert not any(name.split('.')[0] == 'triton' for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)

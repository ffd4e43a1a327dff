from __future__ import annotations

from io import BytesIO

import pytest
import torch
from matplotlib.image import imread
from torch import Tensor, nn

from napari_ctclip.models.fvlm import FVLM
from napari_ctclip.models.interface import FeatureMap
from napari_ctclip.models.vit3d import VisionTransformer3d
from napari_ctclip.scoring import cost
from napari_ctclip.scoring.cost import estimate_cost
from napari_ctclip.scoring.dry_run import dry_run
from napari_ctclip.scoring.preprocessing_audit import audit
from napari_ctclip.scoring.study_check import check_study
from tests.models.small_fvlm import LetterTextEncoder, small_fvlm
from tests.phantom import ball_study
from tests.tiny_model import TinyModel


class _Convolution(TinyModel, nn.Module):
    def __init__(self) -> None:
        nn.Module.__init__(self)
        TinyModel.__init__(self)
        self.layer = nn.Conv3d(1, 4, 2, stride=2, bias=False)

    def encode_image(self, image: Tensor) -> FeatureMap:
        return FeatureMap((self.layer(image),))


class _Looks(TinyModel):
    """Reads values: that cannot be done on shapes alone."""

    def encode_image(self, image: Tensor) -> FeatureMap:
        return FeatureMap((image * float(image.max()),))


def test_operations_of_a_convolution_are_two_a_multiply_add() -> None:
    run = dry_run(_Convolution(), (1, 8, 16, 32))
    assert run.flop == 2 * 8 * 4 * (4 * 8 * 16)
    weights, image, tokens = 4 * 32, 4 * 8 * 16 * 32, 4 * 4 * 4 * 8 * 16
    assert run.memory_bytes == weights + image + tokens


def test_fvlm_of_the_release_takes_140_billion_multiply_adds_a_crop() -> None:
    # the published design, counted by hand: 132.6 in the blocks, 7.75 in the patch embedding
    with torch.device("meta"):
        model = FVLM(VisionTransformer3d(), LetterTextEncoder())
    run = dry_run(model, (1, 112, 256, 352))
    assert run.flop / 2e9 == pytest.approx(140.4, abs=0.1)


def test_dry_run_computes_nothing_and_leaves_the_model_as_it_was() -> None:
    model = small_fvlm()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    dry_run(model, (1, 1600, 1600, 1600))  # 16 GB, were it real
    assert torch.backends.mha.get_fastpath_enabled()
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())


def test_time_is_scaled_by_operations_of_all_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    model, study = small_fvlm(), ball_study()
    monkeypatch.setattr(cost, "_timed", lambda *_: 2.0)
    found = estimate_cost(model, audit(study, model))
    window, crop = audit(study, model).window_shapes[0], (112, 256, 352)
    assert found.passes == 2
    flops = [dry_run(model, (1, *shape)).flop for shape in (window, crop)]
    assert found.flop == sum(flops)
    trial = dry_run(model, (1, *found.timed_shape)).flop
    assert found.seconds == pytest.approx(2.0 * sum(flops) / trial)
    assert found.scaled_by == "operations"


def test_model_without_a_dry_run_is_scaled_by_voxels() -> None:
    model = _Looks()
    found = estimate_cost(model, audit(ball_study(), model))
    assert (found.flop, found.scaled_by) == (0.0, "voxels")
    assert found.seconds > 0


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

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.study import Study
from napari_ctclip.encoding.encoding import encode_input
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.encoding.memory import attempts_at
from napari_ctclip.encoding.organ_crops import embed_organs
from napari_ctclip.encoding.work import Work
from napari_ctclip.models.interface import EncodingWindows, FeatureMap
from napari_ctclip.scoring.encoded_study import encode_study
from napari_ctclip.testing import TinyModel
from tests.models.small_fvlm import small_fvlm
from tests.phantom import ball_study


class _Narrow(TinyModel, nn.Module):
    """Has room for so many slices at once, and, off the CPU, for none."""

    def __init__(self, slices: int, *, error: type[Exception] = torch.OutOfMemoryError) -> None:
        nn.Module.__init__(self)
        TinyModel.__init__(self, windows=EncodingWindows((32, 512, 512), (4, 0, 0)))
        self.slices, self.error = slices, error
        self.seen: list[tuple[str, int]] = []

    def encode_image(self, image: Tensor) -> FeatureMap:
        self.seen.append((image.device.type, image.shape[2]))
        if image.device.type != "cpu" or image.shape[2] > self.slices:
            raise self.error("not enough memory: you tried to allocate 9 bytes")
        return super().encode_image(image)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError, MemoryError])
def test_thinner_windows_are_tried_and_give_the_same_tokens_and_a_notice(
    error: type[Exception],
) -> None:
    wide, narrow = _Narrow(40), _Narrow(8, error=error)
    prepared = wide.preprocessing.prepare(ball_study().volume)
    expected, found = encode_input(wide, prepared), encode_input(narrow, prepared)
    assert expected.notices == ()
    assert [notice.code for notice in found.notices] == ["smaller-windows"]
    assert "8 slices" in found.notices[0].message
    assert {slices for _, slices in narrow.seen} == {32, 16, 8}
    assert torch.equal(found.features.levels[0], expected.features.levels[0])


def test_cpu_is_the_last_resort_and_says_so() -> None:
    model = _Narrow(40)
    prepared = model.preprocessing.prepare(ball_study().volume)
    # "meta" stands for a GPU that is always full: it needs no such device to be tried
    found = encode_input(model, prepared, work=Work(device="meta"))
    assert [notice.code for notice in found.notices] == ["encoded-on-cpu"]
    assert [device for device, _ in model.seen] == ["meta", "meta", "meta", "cpu", "cpu"]
    assert model.seen[-1] == ("cpu", 32)


def test_model_that_takes_one_shape_alone_is_shown_no_thinner_windows() -> None:
    model = _Narrow(40)
    model.preprocessing = replace(model.preprocessing, shape=(40, 40, 40))
    windows = [a.windows for a in attempts_at(model, "cuda", depth=40)]
    assert windows == [model.encoding_windows] * 2  # there, then on the CPU


def test_no_room_anywhere_is_one_clear_error() -> None:
    model = _Narrow(0)
    prepared = model.preprocessing.prepare(ball_study().volume)
    with pytest.raises(CtClipError, match="memory does not suffice for model 'tiny'"):
        encode_input(model, prepared)


def test_another_error_of_the_model_is_not_taken_for_lack_of_memory() -> None:
    model = _Narrow(40)
    model.encode_image = lambda image: torch.zeros(2) @ torch.zeros(3)  # type: ignore[method-assign]
    prepared = model.preprocessing.prepare(ball_study().volume)
    with pytest.raises(RuntimeError, match="inconsistent tensor size"):
        encode_input(model, prepared)


def test_features_of_smaller_windows_are_not_kept_for_next_time(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    study = Study(ball_study().volume)
    narrow = encode_study(_Narrow(8), study, work=Work(cache))
    assert "smaller-windows" in {notice.code for notice in narrow.notices}
    assert cache.size_bytes() == 0
    assert not encode_study(_Narrow(40), study, work=Work(cache)).from_cache
    assert cache.size_bytes() > 0


def test_organ_crops_go_to_the_cpu_too() -> None:
    model = small_fvlm()
    encode = model.encode_image

    def full(image: Tensor) -> FeatureMap:
        if image.device.type != "cpu":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return encode(image)

    model.encode_image = full  # type: ignore[method-assign]
    model.to = lambda device: model  # type: ignore[method-assign]  # weights cannot return from meta
    study = ball_study()
    assert study.organ_masks is not None
    prepared = model.preprocessing.prepare(study.volume)
    found = embed_organs(model, prepared, study.organ_masks, work=Work(device="meta"))
    assert set(found.vectors) == {"lung"}
    assert [notice.code for notice in found.notices] == ["encoded-on-cpu"]

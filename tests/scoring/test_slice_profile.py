from __future__ import annotations

import numpy as np
import pytest

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.regions.token_grid import TokenRegions
from napari_ctclip.scoring.answer import Answer
from napari_ctclip.scoring.region_scores import WHOLE_SCAN, region_scores
from napari_ctclip.scoring.slice_profile import slice_profile

SCAN = Geometry.from_spacing((24, 16, 16), (3.0, 1.0, 1.0), origin_ras=(40.0, 30.0, 20.0))


def _answer(
    codes: str, hot: dict[tuple[int, int, int], float], regions: TokenRegions | None = None
) -> Answer:
    """Return an answer on tokens of 4 x 4 x 4 voxels stored in any order, high at ``hot``."""
    tokens = SCAN.coarsened((4, 4, 4))
    values = np.zeros(tokens.shape, np.float32)
    for place, value in hot.items():
        values[place] = value
    transform = tokens.transform_to(codes)
    found = SimilarityMap(
        np.ascontiguousarray(transform.apply(values)),
        tokens.reoriented(transform),
        Prompt("nodule"),
    )
    return Answer(Prompt("nodule"), found, region_scores(found, regions, scale=10.0))


@pytest.mark.parametrize("codes", ["IPL", "SPL", "RAS", "LIP"])
def test_profile_is_high_in_the_slices_of_the_hot_token_whatever_the_map_is_stored_as(
    codes: str,
) -> None:
    profile = slice_profile(_answer(codes, {(2, 1, 3): 0.8}), SCAN)
    assert profile.anatomy == WHOLE_SCAN
    assert np.flatnonzero(profile.highest == np.float32(0.8)).tolist() == [8, 9, 10, 11]
    assert profile.mean[9] == pytest.approx(0.8 / 16)
    assert profile.range == pytest.approx((0.0, 0.8))
    (peak,) = profile.peaks
    index = SCAN.coarsened((4, 4, 4)).world_to_index(peak.world_mm)
    assert np.rint(index).tolist() == [2, 1, 3]
    assert peak.value == pytest.approx(0.8)


def test_peak_names_its_token_on_the_grid_of_the_map() -> None:
    answer = _answer("RAS", {(2, 1, 3): 0.8})
    (peak,) = slice_profile(answer, SCAN).peaks
    assert answer.similarity_map.values[peak.index] == np.float32(0.8)


def test_peaks_come_from_the_head_down_and_small_ones_are_left_out() -> None:
    hot = {(1, 0, 0): 0.6, (3, 2, 2): 0.8, (5, 1, 1): 0.1}
    peaks = slice_profile(_answer("IPL", hot), SCAN).peaks
    assert [peak.index for peak in peaks] == [(1, 0, 0), (3, 2, 2)]


def test_flat_neighbours_are_one_peak() -> None:
    hot = {(2, 0, 0): 0.7, (3, 0, 0): 0.7}
    assert len(slice_profile(_answer("IPL", hot), SCAN).peaks) == 1


def test_profile_counts_the_tokens_of_the_asked_organ_alone() -> None:
    regions = TokenRegions({"lung": np.arange(16, 48)})  # layers 1 and 2
    hot = {(1, 1, 1): 0.3, (4, 0, 0): 0.9}
    answer = _answer("IPL", hot, regions)
    answer = Answer(Prompt("nodule in the lung"), answer.similarity_map, answer.scores)
    profile = slice_profile(answer, SCAN, regions)
    assert profile.anatomy == "lung"
    assert np.isnan(profile.highest[:4]).all()
    assert np.nanmax(profile.highest) == np.float32(0.3)
    assert np.isnan(profile.highest[12:]).all()


def test_slices_outside_the_field_of_view_have_no_value() -> None:
    answer = _answer("IPL", {(2, 1, 3): 0.8})
    longer = SCAN.padded((4, 0, 0), (8, 0, 0))
    profile = slice_profile(answer, longer)
    assert np.isnan(profile.highest[:4]).all()
    assert np.isnan(profile.mean[-8:]).all()
    assert profile.highest[12] == np.float32(0.8)


def test_scan_without_any_token_has_no_peak() -> None:
    tokens = SCAN.coarsened((4, 4, 4))
    values = np.zeros(tokens.shape, np.float32)
    values[0, 0, 0] = 1.0
    scored = region_scores(SimilarityMap(values, tokens, Prompt("x")), None, scale=1.0)
    empty = SimilarityMap(np.full(tokens.shape, np.nan, np.float32), tokens, Prompt("x"))
    profile = slice_profile(Answer(Prompt("x"), empty, scored), SCAN)
    assert profile.peaks == ()
    assert profile.range == (0.0, 0.0)

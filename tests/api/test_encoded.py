from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import napari_ctclip as ctclip
from napari_ctclip.testing import TinyModel
from tests.phantom import ball_study


@pytest.fixture
def encoded(tmp_path: Path) -> ctclip.EncodedVolume:
    cache = ctclip.FeatureCache(tmp_path / "cache")
    return ctclip.encode(ball_study(), TinyModel(), device="cpu", cache=cache)


def test_answer_has_score_organs_peak_and_a_heatmap_as_fine_as_the_scan(
    encoded: ctclip.EncodedVolume,
) -> None:
    answer = encoded.ask("bright spot")
    volume = encoded.study.volume
    assert answer.heatmap.shape == volume.voxels.shape
    hottest = np.unravel_index(np.nanargmax(answer.heatmap), answer.heatmap.shape)
    there = volume.geometry.index_to_world(hottest)
    assert np.abs(there - np.asarray(answer.peak_mm)).max() <= 4.0
    assert answer.score == answer.whole.similarity
    assert {score.anatomy for score in answer.organs} >= {"lung"}


def test_masks_given_to_a_prompt_are_kept_for_the_next(tmp_path: Path) -> None:
    study = ball_study()
    assert study.organ_masks is not None
    cache = ctclip.FeatureCache(tmp_path / "cache")
    encoded = ctclip.encode(study.volume, TinyModel(), device="cpu", cache=cache)
    assert encoded.ask("lung nodule").organs == ()
    first = encoded.ask("lung nodule", masks=study.organ_masks)
    assert first.focus.anatomy == "lung"
    assert encoded.ask("lung mass").focus.anatomy == "lung"


def test_second_encoding_comes_from_the_cache(tmp_path: Path) -> None:
    cache, model = ctclip.FeatureCache(tmp_path / "cache"), TinyModel()
    ctclip.encode(ball_study(), model, cache=cache)
    count = len(model.encoded_on)
    ctclip.encode(ball_study(), model, cache=cache)
    assert len(model.encoded_on) == count


def test_repr_tells_prompt_organs_and_peak(encoded: ctclip.EncodedVolume) -> None:
    text = repr(encoded.ask("lung nodule"))
    assert "'lung nodule' against 'no lung nodule'" in text
    assert "<- score" in text.split("lung ", 1)[1]
    assert "peak at x" in text
    assert "tiny" in repr(encoded)


def test_jupyter_shows_three_planes_with_heat(encoded: ctclip.EncodedVolume) -> None:
    answer = encoded.ask("bright <spot>")
    figure = answer.figure()
    titles = [axes.get_title() for axes in figure.axes[:3]]
    assert [title.split(" ")[0] for title in titles] == ["axial", "coronal", "sagittal"]
    assert all(len(axes.images) == 2 for axes in figure.axes[:3])  # the CT and its heat
    assert answer._repr_png_().startswith(b"\x89PNG")
    page = answer._repr_html_()
    assert 'src="data:image/png;base64,' in page
    assert "bright &lt;spot&gt;" in page


def test_what_is_no_scan_is_refused_by_name() -> None:
    with pytest.raises(ctclip.DataError, match="expected a Volume or a Study, got str"):
        ctclip.encode("ct.nii.gz", TinyModel())  # type: ignore[arg-type]


def test_five_lines_of_a_notebook(tmp_path: Path) -> None:
    study = ball_study()
    masks = ctclip.organ_masks(study.volume, progress=False)
    cache = ctclip.FeatureCache(tmp_path)
    answer = ctclip.encode(study.volume, TinyModel(), cache=cache).ask("lung nodule", masks=masks)
    assert isinstance(answer, ctclip.Answer)
    assert np.isfinite(answer.score)

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_ctclip.core.errors import Cancelled, GeometryMismatch
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.encoding.encoding import encode_input
from napari_ctclip.encoding.work import Work
from napari_ctclip.models.interface import Calibration, EncodingWindows
from napari_ctclip.preprocessing.spatial import resample_labels
from napari_ctclip.regions.token_grid import token_regions
from napari_ctclip.scoring.heatmap import TokenIndex
from napari_ctclip.scoring.region_scores import WHOLE_SCAN, region_scores
from napari_ctclip.scoring.similarity import background_similarity, contrast, softmax_probability
from napari_ctclip.testing import TinyModel
from tests.phantom import BALL_CENTRE, ball_study

ALL_AXIS_CODES = ["IPL", "SPL", "RAS", "LPS", "SAR", "AIL"]


def _index(model: TinyModel) -> TokenIndex:
    model_input = model.preprocessing.prepare(ball_study().volume)
    return TokenIndex(model, encode_input(model, model_input))


def test_contrast_times_scale_is_the_logit_of_the_softmax_among_all_prompts() -> None:
    tokens = torch.nn.functional.normalize(torch.randn(5, 8), dim=1)
    texts = torch.nn.functional.normalize(torch.randn(4, 8), dim=1)
    scale = 12.0
    similarity = contrast(tokens @ texts[0], background_similarity(tokens.T, texts[1:], scale))
    expected = torch.softmax(scale * tokens @ texts.T, dim=1)[:, 0]
    assert torch.allclose(softmax_probability(similarity, scale), expected, atol=1e-6)


@pytest.mark.parametrize("orientation", ALL_AXIS_CODES)
def test_heatmap_peak_lies_in_the_ball_whatever_orientation_the_model_wants(
    orientation: str,
) -> None:
    study = ball_study()
    peak = _index(TinyModel(orientation=orientation)).similarity_map(Prompt("bright")).peak()
    assert peak is not None
    centre = study.volume.geometry.index_to_world(BALL_CENTRE)
    assert np.linalg.norm(np.asarray(peak.world_mm) - centre) < 8.0


def test_windows_give_the_same_features_as_the_whole() -> None:
    study = ball_study()
    whole = TinyModel(windows=EncodingWindows((512, 512, 512), (0, 0, 0)))
    cut = TinyModel(windows=EncodingWindows((16, 20, 16), (4, 8, 6)))
    model_input = whole.preprocessing.prepare(study.volume)
    expected = encode_input(whole, model_input).features.levels[0]
    found = encode_input(cut, model_input).features.levels[0]
    assert len(cut.encoded_on) > 20
    assert torch.equal(found, expected)


def test_cancel_between_windows_raises_and_reports_progress_until_then() -> None:
    model = TinyModel(windows=EncodingWindows((8, 512, 512), (2, 0, 0)))
    model_input = model.preprocessing.prepare(ball_study().volume)
    seen: list[tuple[int, int]] = []
    with pytest.raises(Cancelled):
        encode_input(
            model,
            model_input,
            work=Work(
                progress=lambda done, total: seen.append((done, total)),
                should_stop=lambda: len(seen) >= 2,
            ),
        )
    assert [done for done, _ in seen] == [0, 1]
    assert len(model.encoded_on) == 2


def test_padding_is_outside_the_field_of_view() -> None:
    model = TinyModel(patch_size=(16, 16, 16))
    values = _index(model).similarity_map(Prompt("bright")).values
    assert np.isnan(values).any()
    assert np.isfinite(values).any()


def test_tokens_outside_the_body_do_not_answer() -> None:
    model, study = TinyModel(), ball_study()
    scan = encode_input(model, model.preprocessing.prepare(study.volume))
    inside = np.zeros(scan.inside.shape, dtype=bool)
    inside[:4] = True
    index = TokenIndex(model, scan.within(inside))
    values = index.similarity_map(Prompt("bright")).values
    assert np.array_equal(np.isfinite(values), inside & scan.inside)
    outside = np.flatnonzero(~inside)[:1]
    assert np.isnan(index.similarities_at(outside, [Prompt("bright")])).all()
    assert index.embedding_of(outside) is None


def test_value_at_a_token_is_the_value_of_the_map_there() -> None:
    index = _index(TinyModel())
    prompt = Prompt("bright")
    values = index.similarity_map(prompt).values
    tokens = np.array([1234, 40])
    found = index.similarities_at(tokens, [prompt, Prompt("dark")])
    assert found.shape == (2, 2)
    assert found[0] == pytest.approx(values.ravel()[tokens], abs=1e-5)


def test_organ_with_the_ball_scores_above_the_other_and_owns_the_peak() -> None:
    study, model = ball_study(), TinyModel()
    index = _index(model)
    assert study.organ_masks is not None
    regions = token_regions(study.organ_masks, index.scan.input_geometry, model.patch_size)
    answer = index.similarity_map(Prompt("bright"))
    scores = {s.anatomy: s for s in region_scores(answer, regions, scale=index.scale)}
    assert set(scores) == {WHOLE_SCAN, "lung_right", "lung_left", "lung", "thoracic_cavity"}
    assert scores["lung_left"].similarity > scores["lung_right"].similarity + 0.5
    assert scores["lung"].peak == scores["lung_left"].peak == scores[WHOLE_SCAN].peak


def test_every_token_of_a_labelled_block_belongs_to_its_organ_and_no_other() -> None:
    study, model = ball_study(), TinyModel()
    assert study.organ_masks is not None
    geometry = model.preprocessing.prepare(study.volume).geometry
    regions = token_regions(study.organ_masks, geometry, model.patch_size)
    tokens = geometry.coarsened(model.patch_size)
    left = np.zeros(tokens.shape, dtype=bool)
    left.ravel()[regions.tokens["lung_left"]] = True
    centres = np.stack(np.indices(tokens.shape), axis=-1)
    in_scan = study.volume.geometry.world_to_index(tokens.index_to_world(centres))
    border = study.organ_masks.labels.shape[2] / 2 - 0.5
    assert left[in_scan[..., 2] > border + 2].all()
    assert not left[in_scan[..., 2] < border - 2].any()


def test_thin_organ_keeps_the_tokens_it_touches() -> None:
    study, model = ball_study(), TinyModel()
    assert study.organ_masks is not None
    labels = np.zeros_like(study.organ_masks.labels)
    labels[:, 20, 20] = 1
    masks = type(study.organ_masks)(labels, {"esophagus": 1}, study.volume.geometry)
    geometry = model.preprocessing.prepare(study.volume).geometry
    assert len(token_regions(masks, geometry, model.patch_size).tokens["esophagus"]) > 5


def test_calibration_turns_similarity_into_probability() -> None:
    index = _index(TinyModel())
    answer = index.similarity_map(Prompt("bright"))
    calibration = Calibration(slope=0.0, intercept=0.0, source="test")
    (whole,) = region_scores(answer, None, scale=index.scale, calibration=calibration)
    assert whole.probability == pytest.approx(0.5)


def test_masks_of_another_scan_are_refused() -> None:
    study = ball_study()
    assert study.organ_masks is not None
    other = type(study.organ_masks)(
        np.zeros((3, 3, 3), np.uint8), {}, study.volume.geometry.cropped((0, 0, 0), (3, 3, 3))
    )
    with pytest.raises(GeometryMismatch, match="do not lie on the CT"):
        study.with_masks(other)


def test_wall_of_an_organ_belongs_to_it_as_max_pooling_its_mask_says() -> None:
    study, model = ball_study(), TinyModel()
    labels = np.zeros(study.volume.geometry.shape, np.uint8)
    labels[11:30, 10:33, 15:40] = 1
    masks = OrganMasks(labels, {"aorta": 1}, study.volume.geometry)
    prepared = model.preprocessing.prepare(study.volume)
    found = token_regions(masks, prepared.geometry, model.patch_size).tokens["aorta"]
    resampled = resample_labels(labels, study.volume.geometry, prepared.geometry)
    pooled = torch.nn.functional.max_pool3d(
        torch.from_numpy(resampled)[None].float(), model.patch_size
    )
    assert np.array_equal(found, np.flatnonzero(pooled.numpy()[0] > 0))

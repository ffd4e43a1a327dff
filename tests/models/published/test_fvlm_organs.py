from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.models.interface import FeatureMap, assert_implements
from napari_ctclip.models.towers.organ_query import OrganQuery, intact_organs
from tests.models.small_fvlm import EMBEDDING_WIDTH, WIDTH, small_fvlm

GRID = (2, 3, 4)


def _levels(batch: int = 2, count: int = 4) -> tuple[Tensor, ...]:
    torch.manual_seed(1)
    return tuple(torch.randn(batch, WIDTH, *GRID) for _ in range(count))


def test_model_keeps_the_contract() -> None:
    model = small_fvlm()
    assert_implements(model)
    features = FeatureMap(_levels())
    assert model.embed_global(features).shape == (2, EMBEDDING_WIDTH)
    assert model.embed_text(["Emphysema.", "Not Emphysema."]).shape == (2, EMBEDDING_WIDTH)
    for anatomy in (None, "aorta"):
        dense = model.embed_dense(features, anatomy)
        assert torch.allclose(dense.norm(dim=1), torch.ones(2, *GRID), atol=1e-5)


def test_one_batched_attention_equals_one_attention_an_organ_and_patient() -> None:
    query, levels = small_fvlm().organ_query, _levels()
    members = torch.rand(2, 4, *GRID) < 0.4
    vectors, present = query(levels, members)
    assert bool(present.all())
    for b in range(2):
        for r in range(4):
            tokens = torch.cat([level[b][:, members[b, r]] for level in levels], dim=1).T[None]
            pooled, _ = query.attention(query.queries[r].view(1, 1, -1), tokens, tokens)
            expected = functional.normalize(query.projections[r](pooled[0, 0]), dim=0)
            assert torch.allclose(vectors[b, r], expected, atol=1e-5)


def test_absent_organ_is_zero_without_nan_and_gives_no_gradient() -> None:
    query, levels = small_fvlm().organ_query, _levels(batch=1)
    members = torch.ones(1, 4, *GRID, dtype=torch.bool)
    members[0, 2] = False
    vectors, present = query(levels, members)
    assert present[0].tolist() == [True, True, False, True]
    assert not vectors[0, 2].any()
    vectors.sum().backward()
    gradient = query.queries.grad
    assert gradient is not None
    assert torch.isfinite(gradient).all()
    assert not gradient[2].any()
    assert gradient[0].any()


def test_organ_does_not_see_tokens_outside_its_mask() -> None:
    query, levels = small_fvlm().organ_query, _levels(batch=1)
    members = torch.zeros(1, 4, *GRID, dtype=torch.bool)
    members[..., :2] = True
    before, _ = query(levels, members)
    for level in levels:
        level[..., 2:] += 100.0
    after, _ = query(levels, members)
    assert torch.equal(before, after)


def test_mask_reaches_a_token_if_any_voxel_does() -> None:
    model, features = small_fvlm(), FeatureMap(_levels(batch=1))
    voxels = torch.zeros(1, 4, 32, 48, 128, dtype=torch.bool)
    voxels[0, :, 17, 33, 100] = True  # one voxel, behind token (1, 2, 3)
    whole_token = torch.zeros_like(voxels)
    whole_token[0, :, 16:, 32:, 96:] = True
    found = model.embed_regions(features, voxels).vectors
    assert torch.equal(found, model.embed_regions(features, whole_token).vectors)


def test_dense_token_is_the_embedding_of_an_organ_of_that_token_alone() -> None:
    model, features = small_fvlm(), FeatureMap(_levels(batch=1))
    members = torch.zeros(1, 4, *GRID, dtype=torch.bool)
    members[0, :, 1, 0, 3] = True
    alone, _ = model.organ_query(features.levels, members)
    for number, anatomy in enumerate(model.anatomies):
        dense = model.embed_dense(features, anatomy)
        assert torch.allclose(dense[0, :, 1, 0, 3], alone[0, number], atol=1e-5)


def test_with_one_level_dense_is_value_then_output_then_organ_projection() -> None:
    query, (level,) = small_fvlm().organ_query, _levels(batch=1, count=1)
    attention = query.attention
    tokens = level.flatten(2)[0].T
    weight = attention.in_proj_weight.chunk(3)[2]
    value = functional.linear(tokens, weight, attention.in_proj_bias.chunk(3)[2])
    expected = functional.normalize(query.projections[1](attention.out_proj(value)), dim=1)
    found = query.embed_tokens([level])[0, 1].flatten(1).T
    assert torch.allclose(found, expected, atol=1e-5)


def test_anatomy_the_model_has_no_query_for_is_the_mean_over_its_own() -> None:
    model, features = small_fvlm(), FeatureMap(_levels(batch=1))
    assert torch.equal(model.embed_dense(features, "liver"), model.embed_dense(features))
    assert not torch.allclose(
        model.embed_dense(features, "lung"), model.embed_dense(features, "aorta")
    )


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("end", [0, -1])
def test_organ_that_touches_a_face_is_not_intact(axis: int, end: int) -> None:
    masks = torch.zeros(1, 3, 8, 9, 10, dtype=torch.bool)
    masks[0, :2, 4, 4, 4] = True  # the third is absent
    place = [4, 4, 4]
    place[axis] = end
    masks[0, 1, place[0], place[1], place[2]] = True
    assert intact_organs(masks)[0].tolist() == [True, False, False]


def test_margin_widens_the_face() -> None:
    masks = torch.zeros(1, 1, 12, 12, 12, dtype=torch.bool)
    masks[0, 0, 2:10, 4, 4] = True
    assert bool(intact_organs(masks, margin=1))
    assert not bool(intact_organs(masks, margin=2))


def test_too_few_masks_are_refused() -> None:
    query = OrganQuery(organs=4, width=WIDTH, embedding_width=8)
    with pytest.raises(CtClipError, match="each of 4 organs"):
        query(_levels(), torch.ones(2, 3, *GRID, dtype=torch.bool))


def test_temperature_divides_and_is_kept_in_its_bounds() -> None:
    model = small_fvlm()
    assert model.logit_scale.exp().item() == pytest.approx(1 / 0.07, rel=1e-5)
    with torch.no_grad():
        model.temperature.fill_(1e-6)
    assert model.logit_scale.exp().item() == pytest.approx(1000.0, rel=1e-4)


def test_text_is_embedded_anew_after_the_weights_changed() -> None:
    model = small_fvlm()
    with torch.inference_mode():
        before = model.embed_text(["Emphysema."])
        model.train()
        model.text_projection.weight.normal_()
        model.eval()
        after = model.embed_text(["Emphysema."])
    assert not torch.allclose(before, after)

"""Selection keeps what is significant, words find their region, and the map shows where."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from napari_ctclip.models.interface import FeatureMap, assert_implements
from napari_ctclip.models.local_regions import LocalRegions
from napari_ctclip.models.text.text_encoders import WordPieceTransformer
from napari_ctclip.models.towers.interaction import local_similarity, word_attention
from napari_ctclip.models.towers.selection import RegionSelection
from napari_ctclip.models.towers.vit3d import TokenVit3d
from napari_ctclip.preprocessing.specification import Preprocessing
from tests.models.small_model import ARCHITECTURE, small_tokenizer

GRID = (2, 3, 4)


def model(*, score="gate", depth=2, patch=(4, 4, 4), grid=GRID, **options) -> LocalRegions:
    torch.manual_seed(0)
    vit = TokenVit3d(
        width=16,
        depth=depth,
        heads=2,
        mlp_width=32,
        patch_size=patch,
        position_grid=grid,
        level_blocks=(),
        dropout=0.0,
    )
    text = WordPieceTransformer(small_tokenizer(), **ARCHITECTURE["text"])
    windows = Preprocessing("IPL", (4.0, 4.0, 4.0), ((-1000.0, 400.0),), patch)
    return LocalRegions(
        vit,
        text,
        name="local",
        preprocessing=windows,
        embedding_width=8,
        keep=5,
        score=score,
        **options,
    ).eval()


def image(depth=8) -> torch.Tensor:
    return torch.rand(2, 1, depth, 12, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("score", ["gate", "attention"])
def test_model_keeps_the_contract(score):
    local = model(score=score)
    assert_implements(local)
    features = local.encode_image(image())
    assert torch.allclose(local.embed_text(["small nodule", "no"]).norm(dim=1), torch.ones(2))
    assert torch.allclose(local.embed_global(features).norm(dim=1), torch.ones(2))
    assert local.embed_dense(features).shape == (2, 16, *GRID)
    regions = local.embed_regions(features, torch.ones(2, 3, 8, 12, 16, dtype=torch.bool))
    assert torch.allclose(regions.vectors.norm(dim=2), torch.ones(2, 3))


def test_a_radiograph_is_a_volume_of_one_slice():
    local = model(patch=(1, 4, 4), grid=(1, 3, 4))
    features = local.encode_image(image(depth=1))
    assert local.interpretation_map(features, "nodule").shape == (2, 1, 3, 4)


def test_cosine_with_a_token_is_the_mean_word_against_that_region():
    local, text = model(), ["small nodule"]
    features = local.encode_image(image())
    words, real = local.embed_words(text)
    mean = functional.normalize((words * real[..., None]).sum(dim=1), dim=-1)[0]
    tokens = features.levels[0].flatten(2).transpose(1, 2)
    expected = local.project_regions(tokens) @ mean
    found = torch.einsum(
        "e,benk->bnk",
        local.embed_text(text)[0],
        local.embed_dense(features).flatten(2)[:, :, :, None],
    )
    assert torch.allclose(found[..., 0] * 2**0.5, expected, atol=1e-5)


def test_hard_selection_keeps_the_highest_and_passes_gradient_to_all_scores():
    torch.manual_seed(0)
    selection = RegionSelection(4, keep=3, mode="hard")
    tokens = torch.randn(1, 10, 4)
    chosen = selection(tokens)
    scores = selection.gate(tokens)[0, :, 0]
    assert set(chosen.indices[0].tolist()) == set(scores.topk(3).indices.tolist())
    assert torch.equal(chosen.tokens[0], tokens[0, chosen.indices[0]])
    chosen.tokens.square().sum().backward()
    assert selection.gate[1].weight.grad.abs().sum() > 0


def test_soft_selection_weighs_high_scores_more_and_tries_others_in_training():
    torch.manual_seed(0)
    selection = RegionSelection(4, keep=3, mode="soft").eval()
    tokens = torch.randn(1, 10, 4)
    chosen = selection(tokens)
    order = selection.gate(tokens)[0, :, 0].argsort()
    assert (chosen.weights[0, order].diff() >= 0).all()
    assert (chosen.weights > 0.5 - 1e-6).sum() == 3
    assert not torch.equal(selection.train()(tokens).weights, selection(tokens).weights)


def test_attention_that_is_given_decides_instead_of_the_gate():
    selection = RegionSelection(4, keep=2)
    attention = torch.tensor([[0.1, 0.4, 0.2, 0.3]])
    assert set(selection(torch.randn(1, 4, 4), attention).indices[0].tolist()) == {1, 3}


def test_rolled_out_attention_sums_to_one():
    _, attention = model(score="attention").image_encoder.attended(image())
    assert torch.allclose(attention.flatten(1).sum(dim=1), torch.ones(2), atol=1e-5)


def test_words_look_at_the_region_that_is_like_them_unless_it_weighs_nothing():
    regions = torch.eye(4)[None, :3]
    words = torch.eye(4)[None, 1:2]
    attention = word_attention(words, regions, torch.ones(1, 3), sharpness=50.0)
    assert attention[0, 0, 0].argmax() == 1
    attention = word_attention(words, regions, torch.tensor([[1.0, 0.0, 1.0]]), sharpness=1.0)
    assert attention[0, 0, 0, 1] < 1e-4


def test_local_similarity_is_what_a_loop_over_images_texts_and_words_gives():
    generator = torch.Generator().manual_seed(2)
    words, regions = (
        functional.normalize(torch.randn(*shape, generator=generator), dim=-1)
        for shape in ((3, 4, 6), (2, 5, 6))
    )
    weights = torch.rand(2, 5, generator=generator)
    real = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]], dtype=torch.bool)
    found = local_similarity(words, real, regions, weights)
    for b in range(2):
        for t in range(3):
            cosines = []
            for word in words[t, real[t]]:
                alpha = (4.0 * regions[b] @ word + weights[b].log()).softmax(0)
                cosines.append(functional.cosine_similarity(word, alpha @ regions[b], dim=0))
            expected = torch.stack(cosines).mul(5).exp().mean().log() / 5
            assert torch.allclose(found[b, t], expected, atol=1e-6)


def test_interpretation_lies_on_the_selected_tokens_and_sums_to_one():
    local = model()
    features = FeatureMap((torch.randn(1, 16, *GRID),))
    found = local.interpretation_map(features, "small nodule")
    assert found.sum().item() == pytest.approx(1.0)
    assert (found > 0).sum() == 5

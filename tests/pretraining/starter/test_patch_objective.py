"""The localisation loss: lowest where each token says what is there; it reaches earlier layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_ctclip.models.published.open_clip_adapter import untrained_open_clip
from napari_ctclip.models.published.slice_model import SliceModel
from napari_ctclip.pretraining.objectives.objective import Setting
from napari_ctclip.pretraining.starter.patch_batches import PatchSampler
from napari_ctclip.pretraining.starter.patch_losses import EarlierTokens, localisation_loss
from napari_ctclip.pretraining.starter.patch_objective import PatchObjective, PatchObjectiveOptions
from napari_ctclip.pretraining.starter.patch_pool import PATCH_FINDINGS, make_pool
from napari_ctclip.pretraining.starter.token_targets import TISSUES

K = len(PATCH_FINDINGS) + len(TISSUES)
LUNG = len(PATCH_FINDINGS) + TISSUES.index("lung")


@pytest.fixture
def model() -> SliceModel:
    architecture = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 4, "head_width": 16},
        "text_cfg": {
            "context_length": 32,
            "vocab_size": 49408,
            "width": 8,
            "heads": 2,
            "layers": 1,
        },
    }
    return untrained_open_clip(architecture)


def test_places_that_say_what_is_there_have_the_lowest_loss() -> None:
    shares = torch.zeros(1, K, 12, 12)
    shares[0, LUNG] = 1
    shares[0, 0, :6, :6] = 1  # a nodule in the first of 2 x 2 places
    texts = torch.eye(2, 8)
    kinds = torch.tensor([0, LUNG])
    nodule, lung = texts[0].view(8, 1, 1), texts[1].view(8, 1, 1)
    places = lung.expand(8, 2, 2).clone()
    places[:, 0, 0] = nodule[:, 0, 0]
    scale = torch.tensor(30.0)
    right = localisation_loss(places[None], shares, texts, kinds, scale)
    wrong = localisation_loss(places[None].flip(-1), shares, texts, kinds, scale)
    blind = localisation_loss(lung.expand(1, 8, 2, 2), shares, texts, kinds, scale)
    # three places share the text of lung: log 3 of one direction's mean over two texts
    assert right == pytest.approx(np.log(3) / 4, abs=1e-3)
    assert right < blind < wrong


def test_places_of_unsure_tissue_ask_for_nothing() -> None:
    shares = torch.zeros(1, K, 12, 12)
    shares[0, LUNG, :6] = 1  # nobody knows what the lower half is
    texts, kinds = torch.eye(2, 8), torch.tensor([0, LUNG])
    places = torch.rand(1, 8, 2, 2, generator=torch.Generator().manual_seed(0))
    scale = torch.tensor(1.0)
    nobody = localisation_loss(places, shares, texts[:1], kinds[:1], scale)
    assert nobody == 0
    changed = places.clone()
    changed[0, :, 1] *= -1  # they still are negatives of the text of lung, not asked themselves
    logits = torch.einsum("ehw,me->hwm", changed[0], texts).flatten(0, 1)
    rows = -logits[:2].log_softmax(dim=1)[:, 1].mean()
    column = -logits[:, 1].log_softmax(dim=0)[:2].mean()
    expected = (rows + column) / 2
    assert localisation_loss(changed, shares, texts, kinds, scale) == pytest.approx(float(expected))


def test_earlier_layer_is_read_out_where_places_are_finer(model: SliceModel) -> None:
    earlier = EarlierTokens(model, "layer3", 16)
    features = model.encode_image(torch.rand(2, 3, 1, 64, 64))
    places = earlier()
    assert features.levels[0].shape[-1] == 2
    assert places.shape == (2, 16, 4, 4)
    assert torch.allclose(places.norm(dim=1), torch.ones(2, 4, 4), atol=1e-5)
    places.sum().backward()
    assert model.clip.visual.conv3.weight.grad.abs().sum() > 0
    assert model.clip.visual.layer4[0].conv1.weight.grad is None


def test_objective_adds_localisation_and_ranking_to_the_contrast_of_wholes(
    model: SliceModel,
) -> None:
    pool = make_pool(slices=16, chests=0, per_chest=0, seed=3)
    sampler = PatchSampler(
        pool, windows_hu=((-1024, -824), (-1350, 150), (-160, 240)), image_size=64
    )
    batch = sampler.draw(32, np.random.default_rng(0))

    def terms(step: int, **options: float) -> dict[str, float]:
        setting = Setting((), seed=1, batch=len(batch))
        objective = PatchObjective(PatchObjectiveOptions(**options), setting)
        torch.manual_seed(0)
        trained = objective.module(model, lambda: model)
        assert objective.model_of(trained) is model
        objective.start_step(trained, step)
        return {name: float(term) for name, term in objective(trained, batch).items()}

    plain = terms(0)
    whole = terms(0, localisation=1.0, ranking=2.0)
    assert list(plain) == ["contrast"]
    assert plain["contrast"] == pytest.approx(whole["contrast"])
    assert all(term > 0 for term in whole.values())
    assert terms(4, ranking=2.0, ranking_from=5)["ranking"] == 0
    assert terms(5, ranking=2.0, ranking_from=5)["ranking"] > 0


def test_every_rank_and_chunk_compares_with_the_same_texts(model: SliceModel) -> None:
    objectives = [
        PatchObjective(PatchObjectiveOptions(ranking=1.0), Setting((), seed=1, batch=30))
        for _ in range(2)
    ]
    for objective in objectives:
        objective.start_step(model, 7)
    assert objectives[0]._texts == objectives[1]._texts
    assert objectives[0]._ranked == objectives[1]._ranked
    objectives[1].start_step(model, 8)
    assert objectives[0]._texts != objectives[1]._texts

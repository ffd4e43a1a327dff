"""What each objective compares, and what it leaves out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from napari_ctclip.core.errors import DataError
from napari_ctclip.models.factory import load_model
from napari_ctclip.models.folder.organ_head import load_organ_head
from napari_ctclip.pretraining.objectives.anatomy_contrast import MomentumText, TwinModels
from napari_ctclip.pretraining.objectives.clip_ild_dapt import (
    ClipIldDapt,
    ClipIldDaptOptions,
    report_view,
)
from napari_ctclip.pretraining.objectives.objective import Setting
from napari_ctclip.reports.captions import OrganCaption
from tests.models.small_open_clip import small_open_clip
from tests.pretraining.tiny_run import text_folder, tiny_assembly, tiny_batch, tiny_recipe


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return text_folder(tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="module")
def ct_glip(texts):
    assembly = tiny_assembly(tiny_recipe("ct_glip", texts))
    assembly.objective.start_step(assembly.trained, 0)
    return assembly


def unit(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return functional.normalize(torch.randn(*shape, generator=generator), dim=-1)


# --- CT-GLIP ------------------------------------------------------------------------------------


def test_dictionary_gives_untrue_texts_about_the_same_organ_only(ct_glip):
    batch = tiny_batch(2, cubes=True)
    normal = OrganCaption("normal lung", True)
    nodule = OrganCaption("a nodule", False, frozenset({"nodule"}))
    unknown = OrganCaption("something", False)
    batch = replace(batch, captions=((nodule, normal), (unknown, normal)))
    untrue = ct_glip.objective.embed(ct_glip.trained, batch)["untrue"]
    # drawn: nodule and effusion of the lung, effusion of the heart
    assert untrue[0].tolist() == [[False, True, False], [False, False, True]]
    assert untrue[1].tolist() == [[False, False, False], [False, False, True]]


def test_what_may_be_there_too_is_no_negative_and_teaches_the_head_nothing(ct_glip, texts):
    batch = tiny_batch(1, cubes=True)
    nodule = OrganCaption("a nodule", False, frozenset({"nodule"}), frozenset({"effusion"}))
    batch = replace(batch, captions=((nodule, OrganCaption("normal", True)),))
    untrue = ct_glip.objective.embed(ct_glip.trained, batch)["untrue"]
    assert untrue[0].tolist() == [[False, False, False], [False, False, True]]
    recipe = tiny_recipe("ct_glip", texts, objective={"tower_locked": True})
    head = tiny_assembly(recipe.model_copy(update={"method": "ct_glip_finetune"}))
    assert head.objective.embed(head.trained, batch)["known"].tolist() == [[True, False, True]]


def test_dictionary_negatives_raise_the_abnormality_term_alone(ct_glip):
    rows = ct_glip.objective.embed(ct_glip.trained, tiny_batch(4, cubes=True))
    without = {name: t for name, t in rows.items() if name not in ("negatives", "untrue")}
    more, less = ct_glip.objective.loss(rows), ct_glip.objective.loss(without)
    assert more["abnormality"] > less["abnormality"]
    assert torch.equal(more["organ_name"], less["organ_name"])


def test_organ_names_are_positives_across_patients(ct_glip):
    """The loss is lowest when both organs point at their own names, whoever's they are."""
    names = torch.eye(8)[:2]
    rows = {
        "image": names.expand(3, -1, -1),
        "name": names.expand(3, -1, -1),
        "text": unit(3, 2, 8),
        "scale": torch.full((3,), 100.0),
        "present": torch.ones(3, 2, dtype=torch.bool),
        "usable": torch.zeros(3, 2, dtype=torch.bool),
        "normal": torch.zeros(3, 2, dtype=torch.bool),
        "phrasing": torch.arange(6).view(3, 2),
    }
    # three samples share each name: ln 3 is what is left to be known
    assert ct_glip.objective.loss(rows)["organ_name"].item() == pytest.approx(np.log(3), rel=1e-3)
    swapped = rows | {"image": names.flip(0).expand(3, -1, -1)}
    assert ct_glip.objective.loss(swapped)["organ_name"] > 50


def test_absent_organs_give_no_nan_and_no_gradient(ct_glip):
    batch = tiny_batch(3, cubes=True)
    batch = replace(batch, masks=torch.zeros_like(batch.masks))
    ct_glip.trained.zero_grad()
    loss = sum(ct_glip.objective(ct_glip.trained, batch).values())
    assert loss.item() == 0.0
    loss.backward()
    for parameter in ct_glip.trained.parameters():
        assert parameter.grad is None or not parameter.grad.any()


def test_the_scale_has_a_gradient_where_some_negatives_are_none(ct_glip):
    ct_glip.trained.zero_grad()
    sum(ct_glip.objective(ct_glip.trained, tiny_batch(4, cubes=True)).values()).backward()
    assert torch.isfinite(ct_glip.trained.logit_scale.grad)
    assert ct_glip.trained.logit_scale.grad != 0


# --- classification -----------------------------------------------------------------------------


@pytest.mark.parametrize("locked", [True, False])
def test_the_head_learns_and_the_tower_moves_only_if_it_may(texts, locked, tmp_path):
    recipe = tiny_recipe("ct_glip", texts, objective={"tower_locked": locked})
    assembly = tiny_assembly(recipe.model_copy(update={"method": "ct_glip_finetune"}))
    batch = tiny_batch(6, cubes=True)
    sum(assembly.objective(assembly.trained, batch).values()).backward()
    assert assembly.trained.head.linear.weight.grad.any()
    tower = [p.grad for p in assembly.trained.model.image_encoder.parameters()]
    assert any(g is not None and g.any() for g in tower) != locked
    weights = {f"trained.{n}": t for n, t in assembly.trained.state_dict().items()}
    assembly.export(weights, tmp_path, {})
    head, model = load_organ_head(tmp_path), load_model(tmp_path)
    regions = model.embed_regions(model.encode_image(batch.images), batch.masks)
    (first, *_) = head.probabilities(regions)
    assert set(first) == {("lung", "nodule"), ("lung", "effusion"), ("heart", "effusion")}
    assert all(0 < value < 1 for value in first.values())


def test_what_nobody_knows_of_an_organ_teaches_the_head_nothing(texts):
    recipe = tiny_recipe("ct_glip", texts, objective={"tower_locked": True})
    assembly = tiny_assembly(recipe.model_copy(update={"method": "ct_glip_finetune"}))
    batch = tiny_batch(1, cubes=True)
    normal = OrganCaption("normal", True)
    batch = replace(batch, captions=((OrganCaption("something", False), normal),))
    rows = assembly.objective.embed(assembly.trained, batch)
    assert rows["known"].tolist() == [[False, False, True]]
    assert not rows["truth"].any()


# --- LRCLR --------------------------------------------------------------------------------------


def test_lrclr_pads_words_to_one_length_and_padding_counts_for_nothing(texts):
    assembly = tiny_assembly(tiny_recipe("lrclr", texts))
    batch = tiny_batch(4)
    rows = assembly.objective.embed(assembly.trained, batch)
    assert rows["words"].shape[:2] == (4, 97)
    assert rows["regions"].shape[1] == 5
    terms = assembly.objective.loss(rows)
    noisy = rows["words"] + torch.where(rows["real"][..., None], 0.0, 5.0)
    assert torch.allclose(assembly.objective.loss(rows | {"words": noisy})["local"], terms["local"])
    assert terms["entropy"] == 0


# --- companions ---------------------------------------------------------------------------------


def test_twins_take_turns_and_only_the_learner_has_a_gradient(texts):
    recipe = tiny_recipe("fvlm", texts, objective={"calibration": "co-teaching"})
    assembly = tiny_assembly(recipe)
    twins, objective = assembly.trained, assembly.objective
    assert isinstance(twins, TwinModels)
    for step, (learner, teacher) in enumerate([(twins.first, twins.second)] * 2):
        if step == 1:
            learner, teacher = teacher, learner
        twins.zero_grad(set_to_none=True)
        objective.start_step(twins, step)
        sum(objective(twins, tiny_batch(6)).values()).backward()
        assert any(p.grad is not None and p.grad.any() for p in learner.parameters())
        assert all(p.grad is None for p in teacher.parameters())


def test_soft_targets_begin_after_the_warm_up(texts):
    recipe = tiny_recipe("fvlm", texts, objective={"calibration": "co-teaching", "warm_up": 4})
    assembly = tiny_assembly(recipe)
    for step, has in ((3, False), (4, True)):
        assembly.objective.start_step(assembly.trained, step)
        rows = assembly.objective.embed(assembly.trained, tiny_batch(4))
        assert ("partner_image" in rows) == has


def test_slow_text_encoder_follows_by_its_momentum(texts):
    recipe = tiny_recipe(
        "fvlm", texts, objective={"calibration": "momentum-text", "momentum": 0.75}
    )
    assembly = tiny_assembly(recipe)
    module = assembly.trained
    assert isinstance(module, MomentumText)
    with torch.no_grad():
        module.model.text_projection.weight.add_(4.0)
    before = module.slow_projection.weight.clone()
    assembly.objective.end_step(module)
    assert torch.allclose(module.slow_projection.weight, before + 1.0, atol=1e-5)


# --- CLIP-ILD-DAPT ------------------------------------------------------------------------------


def dapt(**options):
    return ClipIldDapt(ClipIldDaptOptions(**options), Setting(()))


def montages(count: int = 3):
    batch = tiny_batch(count)
    images = torch.rand(count, 3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    return replace(batch, images=images, second_views=images.flip(-1))


@pytest.mark.parametrize(
    ("options", "moved"),
    [
        ({"arm": "image+text"}, {"visual", "text"}),
        ({"arm": "image+text", "locked": ("image",)}, {"text"}),
        ({"arm": "image+text", "locked": ("text",)}, {"visual"}),
        ({"arm": "image"}, {"visual"}),
        ({"arm": "text"}, {"text"}),
    ],
)
def test_an_arm_moves_its_towers_and_no_other(options, moved):
    objective, model = dapt(**options), small_open_clip().train().requires_grad_(True)
    module = objective.module(model, lambda: model)
    objective.start_step(module, 0)
    sum(objective(module, montages()).values()).backward()
    found = {
        "visual" if name.startswith("visual.") else "text"
        for name, p in model.clip.named_parameters()
        if p.grad is not None and p.grad.any() and not name.startswith("logit")
    }
    assert found == moved


def test_an_arm_that_trains_nothing_is_refused():
    with pytest.raises(DataError, match="trains nothing"):
        dapt(arm="image", locked=("image",)).module(small_open_clip(), lambda: None)


def test_a_view_holds_sentences_of_the_report_and_depends_on_its_generator():
    report = "One. Two. Three. Four."
    first, again, other = (
        report_view(report, np.random.default_rng(seed), keep=0.5) for seed in (0, 0, 5)
    )
    assert first == again != other
    assert len(first.split()) == 2
    assert set(first.split()) <= set(report.split())

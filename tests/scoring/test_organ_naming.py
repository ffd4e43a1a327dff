"""Which organ a model calls each region: argmax over the sentences of the names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_ctclip.core.errors import Cancelled, CtClipError
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.study import Study
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.encoding.work import Work
from napari_ctclip.scoring import organ_naming
from napari_ctclip.scoring.encoded_study import encode_study
from napari_ctclip.scoring.organ_naming import name_organs, name_tokens, organs_of_masks
from napari_ctclip.session.organ_readout import (
    agreement_words,
    naming_mark,
    naming_words,
    read_organ_names,
)
from napari_ctclip.session.session import Session
from napari_ctclip.testing import TinyModel
from tests.phantom import ball_study

NAMES = ("dark_air", "bone", "liver")  # the tiny model knows dark from bright, and bone is bright


def _study(*, bright: str = "bone", dark: str = "dark_air") -> Study:
    """Return the ball scan with the middle of the ball and the rest as organs."""
    study = ball_study()
    core = ndimage.binary_erosion(study.volume.voxels > 500, iterations=2)  # tokens all of ball
    labels = np.where(core, 1, 2).astype(np.uint8)
    legend = {bright: 1, dark: 2, "face": 3}  # no voxel is a face
    masks = OrganMasks(labels, legend, study.volume.geometry)
    return replace(study, organ_masks=masks)


@pytest.fixture
def asked(tmp_path):
    """Give a function that encodes a study and names its organs."""
    model = TinyModel()

    def ask(study: Study, **options):
        encoded = encode_study(model, study, work=Work(FeatureCache(tmp_path)))
        options = {"names": NAMES} | options
        return name_organs(model, encoded.scan, study.organ_masks, **options)

    return ask


def test_each_region_is_called_by_the_name_that_fits_its_voxels(asked) -> None:
    bright, dark = asked(_study())
    assert (bright.region, bright.called, bright.agrees) == ("bone", "bone", True)
    assert (dark.region, dark.called, dark.agrees) == ("dark_air", "dark_air", True)
    cosines = [cosine for _, cosine in bright.ranked]
    assert cosines == sorted(cosines, reverse=True)
    assert {name for name, _ in bright.ranked} == set(NAMES)


def test_the_cosines_are_those_of_the_pooled_vector(asked, tmp_path) -> None:
    study, model = _study(), TinyModel()
    encoded = encode_study(model, study, work=Work(FeatureCache(tmp_path / "own")))
    bright = asked(study)[0]
    tokens = encoded.regions.tokens["bone"]
    mean = model.embed_dense(encoded.scan.features)[0].flatten(1)[:, tokens].mean(dim=1)
    sentence = model.embed_text(["This is the bone."])[0]
    expected = float(torch.nn.functional.cosine_similarity(mean, sentence, dim=0))
    assert dict(bright.ranked)["bone"] == pytest.approx(expected, abs=1e-3)


def test_a_mask_with_the_wrong_name_is_marked(asked) -> None:
    namings = asked(_study(bright="dark_air", dark="bone"))
    assert [naming.agrees for naming in namings] == [False, False]
    assert naming_mark(namings[0]) == "≠ bone"
    assert agreement_words(namings) == "The model calls 0 of 2 organs as their masks do."


def test_an_organ_without_a_name_is_told_apart_from_a_wrong_one(asked) -> None:
    namings = asked(_study(dark="aorta"))
    assert naming_mark(namings[1]) == "(dark air)"
    assert agreement_words(namings).startswith(
        "The model calls 1 of 1 organs as their masks do; 1 "
    )
    assert naming_words(namings[1]).startswith("dark air 0.")


def test_organs_in_turn_give_the_same(asked, monkeypatch) -> None:
    together = asked(_study())
    monkeypatch.setattr(organ_naming, "_VOXELS_AT_ONCE", 1)
    for alone, before in zip(asked(_study()), together, strict=True):
        assert alone.region == before.region
        assert dict(alone.ranked) == pytest.approx(dict(before.ranked), abs=1e-5)


def test_a_place_is_named_as_its_tokens_are(tmp_path) -> None:
    study, model = _study(), TinyModel()
    encoded = encode_study(model, study, work=Work(FeatureCache(tmp_path)))
    for organ, tokens in encoded.regions.tokens.items():
        naming = name_tokens(model, encoded.scan, tokens, names=NAMES, region=organ)
        assert naming.agrees
    nothing = np.array([], dtype=np.intp)
    assert name_tokens(model, encoded.scan, nothing, names=NAMES) is None


def test_what_cannot_be_named_is_refused_with_the_reason(asked, tmp_path) -> None:
    with pytest.raises(CtClipError, match="two organ names"):
        asked(_study(), names=("lung",))
    with pytest.raises(Cancelled):
        asked(_study(), work=Work(should_stop=lambda: True))
    study, model = _study(), TinyModel()
    encoded = encode_study(model, study, work=Work(FeatureCache(tmp_path)))
    model.region_readout = "regions"
    with pytest.raises(CtClipError, match="given the organ"):
        name_organs(model, encoded.scan, study.organ_masks, names=NAMES)


def test_a_session_asks_a_model_without_names_for_the_organs_of_the_masks(tmp_path) -> None:
    session = Session(cache=FeatureCache(tmp_path), device="cpu")
    session.set_study(_study())
    session.set_model(TinyModel())
    with pytest.raises(CtClipError, match="not encoded"):
        read_organ_names(session)
    session.set_encoding(session.compute_encoding())
    bright, dark = read_organ_names(session)
    assert {name for name, _ in bright.ranked} == {"bone", "dark_air", "face"}
    assert bright.agrees
    assert dark.agrees
    session.model.organ_names = ("liver", "lung")
    assert {name for name, _ in read_organ_names(session)[0].ranked} == {"liver", "lung"}
    session.set_masks(None)
    with pytest.raises(CtClipError, match="masks"):
        read_organ_names(session)


def test_organs_of_masks_are_counted_as_a_person_does() -> None:
    assert organs_of_masks(ball_study().organ_masks) == ("lung",)

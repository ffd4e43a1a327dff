from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from napari_ctclip.core.errors import Cancelled
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume
from napari_ctclip.encoding.encoding import encode_input
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.encoding.organ_crops import anatomy_labels, crop_around, embed_organs
from napari_ctclip.encoding.work import Work
from napari_ctclip.models.fvlm import FVLM
from napari_ctclip.models.interface import CropProtocol, FeatureMap
from napari_ctclip.scoring.heatmap import queried_anatomy
from napari_ctclip.scoring.readout import organ_similarities, token_index
from napari_ctclip.session.session import Session
from tests.models.small_fvlm import small_fvlm

SHAPE = (40, 96, 128)  # at 3 x 1 x 1 mm, axes SPL
PROTOCOL = CropProtocol(shape=(32, 64, 64), smallest=(32, 32, 32), margin=(2, 4, 4))
LEGEND = {"lung_upper_lobe_left": 1, "lung_right": 2, "heart": 3, "aorta": 4, "liver": 5}


class _Watched(FVLM):
    """Remembers the crops it encodes."""

    crops: list[Tensor]

    def encode_image(self, image: Tensor) -> FeatureMap:
        self.crops.append(image)
        return super().encode_image(image)


@pytest.fixture
def model() -> _Watched:
    model = small_fvlm()
    model.__class__ = _Watched
    assert isinstance(model, _Watched)
    model.crops, model.content_hash = [], "0" * 64
    model.crop_protocol = PROTOCOL  # type: ignore[misc]
    return model.requires_grad_(False)


def _study(boxes: dict[str, tuple[slice, slice, slice]]) -> Study:
    """Return a scan of noise with box-shaped organs, laid out as the model wants it."""
    geometry = Geometry.from_spacing(SHAPE, (3.0, 1.0, 1.0), codes="SPL")
    labels: npt.NDArray[np.uint8] = np.zeros(SHAPE, dtype=np.uint8)
    for name, box in boxes.items():
        labels[box] = LEGEND[name]
    voxels = np.random.default_rng(0).integers(-900, 300, SHAPE).astype(np.int16)
    volume = Volume.from_stored(voxels, geometry)
    transform = geometry.transform_to("IPL")
    flipped = np.ascontiguousarray(transform.apply(labels))
    return Study(volume, OrganMasks(flipped, LEGEND, volume.geometry))


def _box(z: tuple[int, int], y: tuple[int, int], x: tuple[int, int]) -> tuple[slice, slice, slice]:
    return slice(*z), slice(*y), slice(*x)


NEAR = {
    "heart": _box((12, 24), (20, 40), (20, 44)),
    "aorta": _box((14, 22), (44, 56), (30, 40)),
}
FAR = {"lung_right": _box((6, 34), (10, 80), (96, 120))}


def _embed(model: FVLM, study: Study) -> dict[str, Tensor]:
    assert study.organ_masks is not None
    prepared = model.preprocessing.prepare(study.volume)
    return dict(embed_organs(model, prepared, study.organ_masks).vectors)


def test_one_pass_serves_every_organ_that_lies_whole_in_it(model: _Watched) -> None:
    found = _embed(model, _study(NEAR))
    assert set(found) == {"heart", "aorta"}
    assert len(model.crops) == 1


def test_distant_organ_gets_its_own_crop_at_its_own_size(model: _Watched) -> None:
    found = _embed(model, _study(NEAR | FAR))
    assert set(found) == {"lung", "heart", "aorta"}
    assert len(model.crops) == 2
    # the lung comes first, 28 x 70 x 24 voxels: wider than the protocol's 64 in y, padded to 80
    assert model.crops[0].shape[2:] == (32, 80, 64)
    assert all(len(rows) == 1 for rows in found.values())


def test_organ_whole_in_two_crops_is_averaged_over_both(model: _Watched) -> None:
    # the esophagus is absent; the aorta's crop is needed since the heart's cuts it, and holds both
    study = _study(
        {
            "heart": _box((12, 24), (40, 50), (40, 50)),
            "aorta": _box((4, 36), (30, 60), (42, 80)),
        }
    )
    found = _embed(model, study)
    assert len(model.crops) == 2
    assert len(found["heart"]) == 2
    assert len(found["aorta"]) == 1


def test_organ_cut_by_another_organs_crop_waits_for_its_own(model: _Watched) -> None:
    study = _study({"heart": NEAR["heart"], "aorta": _box((12, 24), (20, 40), (60, 110))})
    _embed(model, study)
    assert len(model.crops) == 2


def test_organ_cut_by_the_scan_is_still_scored(model: _Watched) -> None:
    found = _embed(model, _study({"heart": _box((0, 10), (20, 40), (20, 44))}))
    assert set(found) == {"heart"}


def test_scan_without_the_models_organs_gives_none(model: _Watched) -> None:
    assert _embed(model, _study({"liver": NEAR["heart"]})) == {}
    assert model.crops == []


def test_what_lies_beyond_the_organs_and_their_margin_is_not_shown(model: _Watched) -> None:
    study = _study({"heart": NEAR["heart"]})
    _embed(model, study)
    (crop,) = model.crops
    # 12 + 2 x 2 slices, 20 + 2 x 4 rows, 24 + 2 x 4 columns, then padding
    shown = crop[0, 0, :16, :28, :32]
    prepared = model.preprocessing.prepare(study.volume).image[0]
    assert torch.equal(shown, torch.from_numpy(prepared[10:26, 16:44, 16:48].copy()))
    rest = crop.clone()
    rest[0, 0, :16, :28, :32] = 0
    assert not rest.any()


def test_stop_between_crops_cancels(model: _Watched) -> None:
    study = _study(NEAR | FAR)
    assert study.organ_masks is not None
    prepared = model.preprocessing.prepare(study.volume)
    seen: list[tuple[int, int]] = []
    with pytest.raises(Cancelled):
        embed_organs(
            model,
            prepared,
            study.organ_masks,
            work=Work(
                progress=lambda done, total: seen.append((done, total)),
                should_stop=lambda: bool(seen),
            ),
        )
    assert seen == [(0, 2)]  # two crops hold the three organs


def test_groups_join_their_parts_on_the_models_grid() -> None:
    study = _study(FAR | {"lung_upper_lobe_left": NEAR["heart"]})
    assert study.organ_masks is not None
    geometry = Geometry.from_spacing(SHAPE, (3.0, 1.0, 1.0), codes="SPL")
    labels = anatomy_labels(study.organ_masks, geometry, ("lung", "heart"))
    expected = np.zeros(SHAPE, dtype=np.uint8)
    expected[FAR["lung_right"]] = expected[NEAR["heart"]] = 1
    assert np.array_equal(labels, expected)


@pytest.mark.parametrize(
    ("organ", "crop"),
    [
        ((40, 60), (10, 90)),  # centred
        ((2, 10), (0, 80)),  # moved inside
        ((95, 99), (20, 100)),
        ((5, 98), (5, 98)),  # larger than the protocol's 80
    ],
)
def test_crop_is_centred_on_the_organ_and_lies_in_the_scan(
    organ: tuple[int, int], crop: tuple[int, int]
) -> None:
    whole = (0, 100)
    found = crop_around((organ,) * 3, within=(whole,) * 3, shape=(80, 80, 80))
    assert found == (crop,) * 3


def test_heatmap_is_read_out_for_the_anatomy_of_the_prompt(model: _Watched) -> None:
    study = _study(NEAR)
    scan = encode_input(model, model.preprocessing.prepare(study.volume))
    index = token_index(model, scan)
    prompt = Prompt("Cardiomegaly.", "Not Cardiomegaly.", "heart")
    texts = model.embed_text([prompt.positive, prompt.negative])
    dense = model.embed_dense(scan.features, "heart")[0].flatten(1)
    expected = ((texts[0] - texts[1]) @ dense).numpy()
    found = index.similarity_map(prompt).values.ravel()
    assert np.allclose(found[np.isfinite(found)], expected[np.isfinite(found)], atol=1e-5)
    token = int(np.flatnonzero(np.isfinite(found))[5])
    at = index.similarities_at(np.array([token]), [prompt])
    assert at[0] == pytest.approx([expected[token]], abs=1e-5)


def test_pleura_is_asked_of_the_lung_and_bone_of_no_organ_of_the_model() -> None:
    anatomies = ("lung", "heart", "esophagus", "aorta")
    assert queried_anatomy(Prompt("Pleural effusion."), anatomies) == "lung"
    assert queried_anatomy(Prompt("Cardiomegaly."), anatomies) == "heart"
    assert queried_anatomy(Prompt("calcification", anatomy="aorta"), anatomies) == "aorta"
    assert queried_anatomy(Prompt("rib fracture"), anatomies) == ""


def test_session_scores_organs_by_their_own_embeddings(model: _Watched, tmp_path: Path) -> None:
    study = _study(NEAR | FAR)
    session = Session(cache=FeatureCache(tmp_path), device="cpu")
    session.set_study(study)
    session.set_model(model)
    encoding = session.compute_encoding()
    session.set_encoding(encoding)
    prompt = Prompt("Cardiomegaly.", "Not Cardiomegaly.", "heart")
    answer = session.ask(prompt)
    assert {s.anatomy for s in answer.organs} == {"lung", "heart", "aorta"}
    assert answer.focus.anatomy == "heart"
    assert [n.code for n in encoding.notices] == [
        "organs-not-scored",  # the esophagus
        "not-calibrated",
    ]
    assert encoding.mask_readout is not None
    organs = encoding.mask_readout.organs
    assert organs is not None
    (similarity,) = organ_similarities(model, organs, prompt)["heart"]
    assert answer.focus.similarity == pytest.approx(similarity)
    # fVLM's rule: softmax of the two prompts over the temperature
    vector = organs.vectors["heart"][0]
    logits = model.embed_text([prompt.negative, prompt.positive]) @ vector / 0.07
    assert answer.focus.probability == pytest.approx(logits.softmax(0)[1].item(), abs=1e-5)
    assert answer.whole.similarity == answer.focus.similarity


def test_scan_scores_as_the_organ_asked_for_or_else_as_its_highest(
    model: _Watched, tmp_path: Path
) -> None:
    session = Session(cache=FeatureCache(tmp_path), device="cpu")
    session.set_study(_study(NEAR))
    session.set_model(model)
    session.set_encoding(session.compute_encoding())
    unplaced = session.ask("metal")
    assert unplaced.whole.similarity == max(s.similarity for s in unplaced.organs)
    # the lung has no mask: another organ's embedding is no answer to a question about it
    lung = session.ask("emphysema")
    assert lung.whole.similarity not in [s.similarity for s in lung.organs]
    peak = lung.similarity_map.peak()
    assert peak is not None
    assert lung.whole.peak == peak


def test_scan_opened_again_is_not_cropped_again(model: _Watched, tmp_path: Path) -> None:
    study, prompt = _study(NEAR | FAR), Prompt("Cardiomegaly.", "Not Cardiomegaly.", "heart")
    answers = []
    for _ in range(2):
        session = Session(cache=FeatureCache(tmp_path), device="cpu")
        session.set_study(study)
        session.set_model(model)
        model.crops.clear()
        session.set_encoding(session.compute_encoding())
        answers.append(session.ask(prompt))
    assert model.crops == []
    assert [s.anatomy for s in answers[1].scores] == [s.anatomy for s in answers[0].scores]
    assert answers[1].focus.similarity == pytest.approx(answers[0].focus.similarity, abs=1e-3)


def test_masks_that_come_later_bring_organ_scores(model: _Watched, tmp_path: Path) -> None:
    study = _study(NEAR)
    session = Session(cache=FeatureCache(tmp_path), device="cpu")
    session.set_study(study.with_masks(None))
    session.set_model(model)
    encoding = session.compute_encoding()
    session.set_encoding(encoding)
    assert [n.code for n in encoding.notices] == ["organ-masks-needed", "not-calibrated"]
    assert session.ask("Cardiomegaly.").organs == ()
    assert study.organ_masks is not None
    session.set_masks(session.prepare_masks(study.organ_masks))
    assert {s.anatomy for s in session.answers[0].organs} == {"heart", "aorta"}
    session.set_masks(None)
    assert session.answers[0].organs == ()

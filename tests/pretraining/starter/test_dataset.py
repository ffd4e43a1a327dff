"""Training crops: the truth of the tokens, and what degradation may change."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.pretraining.data.sentences import canonical, load_vocabulary
from napari_ctclip.pretraining.starter.crop_batches import CropDraws, CropPlan
from napari_ctclip.pretraining.starter.dataset import (
    LAST_TRAINING_SEED,
    StudyFolder,
    degrade_crop,
)
from napari_ctclip.pretraining.starter.token_targets import TISSUES, UNSURE, token_targets

WINDOWS = ((-1000.0, 200.0),)


def block_study():
    """Lung on both sides of fat, a nodule in the right lung, a vessel in the left."""
    hu = np.full((16, 32, 48), -1000, np.int16)
    labels = np.zeros(hu.shape, np.uint8)
    hu[:, 4:28, 4:44], labels[:, 4:28, 4:44] = -90, 1
    for label, x in ((2, slice(6, 18)), (3, slice(30, 42))):
        hu[:, 8:24, x], labels[:, 8:24, x] = -850, label
    bits = np.zeros(hu.shape, np.uint16)
    hu[6:10, 12:16, 10:14], bits[6:10, 12:16, 10:14] = 30, 1
    hu[:, 14:16, 34:36] = 40
    return hu, labels, bits


def test_tokens_are_named_by_tissue_and_findings_are_left_out():
    targets = token_targets(*block_study())
    assert targets.findings[0, 3:5, 6:8, 5:7].min() == 8
    assert targets.tissue[3, 6, 5] == UNSURE

    def name(z, y, x):
        return TISSUES[targets.tissue[z, y, x]]

    assert name(0, 5, 4) == "lung"
    assert name(4, 7, 17) == "vessel"
    assert name(4, 8, 12) == "mediastinum"
    assert name(4, 2, 12) == "fat"
    assert name(4, 0, 0) == "outside"


def test_degradation_keeps_places_and_levels():
    hu = np.full((40, 48, 48), -850, np.int16)
    hu[14:26, 18:30, 10:22] = 40
    for seed in range(12):
        out = degrade_crop(hu, np.random.default_rng(seed))
        assert out.shape == hu.shape
        assert np.isfinite(out).all()
        assert abs(out[18:22, 22:26, 14:18].mean() - 40) < 160  # ten millimetre slices blur it
        assert abs(out[2:38, 36:46, 34:46].mean() + 850) < 60
        weight = np.clip(out + 850, 200, None) - 200
        centre = [float((weight * i).sum() / weight.sum()) for i in np.indices(hu.shape)]
        assert np.allclose(centre, [19.5, 23.5, 15.5], atol=1.5)


def write_block(folder, seed):
    hu, labels, bits = (np.pad(a, 24) for a in block_study())
    targets = token_targets(hu, labels, bits)
    np.save(folder / f"{seed}_hu.npy", hu)
    tokens = np.concatenate([targets.findings, targets.tissue[None]])
    np.save(folder / f"{seed}_tokens.npy", tokens)
    lesion = {"finding": "lung nodule", "centre": [32, 38, 36], "diameter_mm": 8.0}
    (folder / f"{seed}.json").write_text(json.dumps({"seed": seed, "lesions": [lesion]}))


def test_image_and_truth_of_a_crop_coincide(tmp_path):
    write_block(tmp_path, 3)
    studies = StudyFolder(tmp_path, windows_hu=WINDOWS, lesion_share=1.0)
    rng = np.random.default_rng(0)
    for _ in range(12):
        crop = studies.draw(rng, size=32)
        assert crop.image.shape == (1, 32, 32, 32)
        nodule = np.kron(crop.findings[0] == 8, np.ones((2, 2, 2))) > 0
        assert nodule.any()
        lung = np.kron(crop.tissue == TISSUES.index("lung"), np.ones((2, 2, 2))) > 0
        assert crop.image[0][nodule].mean() > crop.image[0][lung].mean() + 0.25
        assert (crop.tissue[crop.findings[0] > 0] == UNSURE).all()


def test_a_step_draws_the_same_crop_again(tmp_path):
    write_block(tmp_path, 3)
    studies = StudyFolder(tmp_path, windows_hu=WINDOWS)
    first, second = (studies.draw(np.random.default_rng([0, 7]), size=32) for _ in range(2))
    assert np.array_equal(first.image, second.image)


def test_held_out_seeds_are_never_read(tmp_path):
    write_block(tmp_path, LAST_TRAINING_SEED + 1)
    write_block(tmp_path, 100_003)
    with pytest.raises(DataError, match="no simulated study"):
        StudyFolder(tmp_path, windows_hu=WINDOWS)


def test_what_a_crop_shows_is_said_of_it_and_nothing_else(tmp_path):
    write_block(tmp_path, 3)
    studies = StudyFolder(tmp_path, windows_hu=WINDOWS, lesion_share=1.0)
    vocabulary = load_vocabulary()
    crop = studies.draw(np.random.default_rng(0), size=32)
    said = dict(zip((k.name for k in vocabulary.findings), crop.phrasings, strict=False))
    assert said.pop("lung nodule")
    assert not any(said.values())
    for tissue, text in zip(TISSUES, crop.phrasings[len(vocabulary.findings) :], strict=True):
        assert bool(text) == bool((crop.tissue == TISSUES.index(tissue)).any())
    assert not {canonical(text) for text in crop.phrasings} & vocabulary.held_out


def test_a_step_draws_small_or_wide_crops_and_sees_studies_that_were_added(tmp_path):
    write_block(tmp_path, 3)
    studies = StudyFolder(tmp_path, windows_hu=WINDOWS)
    draws = CropDraws(studies, CropPlan(16, 3, 32, 2, 4), seed=0)
    assert [len(draws.draws(step)) for step in range(5)] == [3, 3, 3, 2, 3]
    batch = draws.collate([make() for make in draws.draws(3)])
    assert batch.images.shape == (2, 1, 32, 32, 32)
    assert set(batch.study_ids) == {"simulated-3"}
    write_block(tmp_path, 4)
    draws.draws(19)
    assert len(draws) == 1
    draws.draws(20)
    assert len(draws) == 2

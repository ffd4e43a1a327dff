"""The crop that a recipe trains with travels with the model's folder into the viewer."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest
import tomli_w
import torch

from napari_ctclip.core.errors import CheckpointMismatch
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.volume import Volume
from napari_ctclip.encoding.organ_crops import embed_organs
from napari_ctclip.io.store.manifest_entry import ManifestEntry
from napari_ctclip.io.store.study_record import OrganRecord, StoreSpecification, StudyRecord
from napari_ctclip.io.store.study_store import create_store, write_study
from napari_ctclip.models.factory import load_model
from napari_ctclip.models.fvlm import FVLM
from napari_ctclip.models.interface import CropProtocol
from napari_ctclip.pretraining.building import assemble
from napari_ctclip.pretraining.data.caption_findings import CaptionReader
from napari_ctclip.pretraining.data.random_crops import CropOptions
from napari_ctclip.pretraining.data.stored_studies import StoredStudies
from napari_ctclip.pretraining.data.study_choice import ChosenStudy
from napari_ctclip.pretraining.recipe import Recipe
from tests.models.small_fvlm import small_fvlm
from tests.pretraining.tiny_run import ANATOMIES, CROP, text_folder, tiny_recipe

SHAPE = (6, 40, 40)  # flatter than the crop of 8 x 16 x 16, which is padded then
HEART = ((1, 12, 10), (5, 24, 22))
MARGIN = (1, 2, 2)  # heart and margin are as wide as the crop: there is one place for it


@pytest.fixture
def recipe(tmp_path):
    values = tiny_recipe("fvlm", text_folder(tmp_path / "texts")).model_dump()
    values["data"] |= {"margin": MARGIN}
    values["preprocessing"]["orientation"] = "SPL"
    return Recipe.model_validate(values)


def _write_folder(recipe, folder):
    """Write the folder of the recipe's model without having trained it."""
    assembly = assemble(recipe)
    weights = {f"trained.{name}": t for name, t in assembly.trained.state_dict().items()}
    assembly.export(weights, folder, {"steps": 0})
    return folder


def _training_sample(recipe, voxels, labels, geometry, folder):
    specification = StoreSpecification(
        orientation="SPL", spacing_mm=(4.0, 4.0, 4.0), anatomies=("heart",), parts={"heart": ()}
    )
    store = create_store(folder, specification)
    start, stop = HEART
    organ = OrganRecord(voxels=int(labels.sum()), start=start, stop=stop, is_cut=False)
    record = StudyRecord(
        study_id="one",
        specification=store.hash,
        fingerprint="",
        shape=SHAPE,
        affine=tuple(tuple(row) for row in geometry.affine.tolist()),
        source_spacing_mm=(4.0, 4.0, 4.0),
        organs={"heart": organ},
    )
    write_study(store, record, image=voxels, labels=labels)
    entry = ManifestEntry(study_id="one", patient_id="one", image=folder / "one.nii.gz")
    source = StoredStudies(
        store,
        [ChosenStudy(entry, SHAPE, HEART)],
        preprocessing=load_model(folder.parent / "model").preprocessing,
        crops=CropOptions(ANATOMIES, CROP, margin=MARGIN),
        reader=CaptionReader(ANATOMIES, None),
    )
    return source.sample(0, np.random.default_rng(0))


def test_the_viewer_shows_the_model_the_very_tensor_it_was_trained_on(
    recipe, tmp_path, monkeypatch
):
    model = load_model(_write_folder(recipe, tmp_path / "model"))
    geometry = Geometry.from_spacing(SHAPE, (4.0, 4.0, 4.0), codes="SPL")
    voxels = np.random.default_rng(1).integers(-1000, 400, SHAPE).astype(np.int16)
    labels = np.zeros(SHAPE, np.uint8)
    labels[tuple(slice(a, b) for a, b in zip(*HEART, strict=True))] = 1
    trained = _training_sample(recipe, voxels, labels, geometry, tmp_path / "store")
    shown = []
    encode, embed = model.encode_image, model.embed_regions
    monkeypatch.setattr(model, "encode_image", lambda image: shown.append(image) or encode(image))
    monkeypatch.setattr(
        model,
        "embed_regions",
        lambda features, masks: shown.append(masks) or embed(features, masks),
    )
    volume = Volume.from_stored(voxels, geometry)
    turned = np.ascontiguousarray(geometry.transform_to("IPL").apply(labels))
    masks = OrganMasks(turned, {"heart": 1}, volume.geometry)
    found = embed_organs(model, model.preprocessing.prepare(volume), masks)
    assert list(found.vectors) == ["heart"]
    image, regions = shown
    assert image.shape == (1, 1, *CROP)
    assert torch.equal(image[0], torch.from_numpy(trained.image))
    assert torch.equal(regions[0], torch.from_numpy(trained.masks))
    assert regions[0, 1].any()
    assert not image[0, 0, SHAPE[0] :].any()  # padded as in training


def test_the_folder_tells_the_crop_and_the_whole_scan_is_cut_alike(recipe, tmp_path):
    folder = _write_folder(recipe, tmp_path / "model")
    told = tomllib.loads((folder / "model.toml").read_text("utf-8"))["crop"]
    assert told["shape"] == list(CROP)
    assert told["margin"] == list(MARGIN)
    model = load_model(folder)
    assert model.crop_protocol == CropProtocol(shape=CROP, smallest=CROP, margin=MARGIN)
    assert model.encoding_windows.shape == CROP
    assert model.encoding_windows.overlap == (0, 4, 4)


def test_released_weights_and_folders_that_tell_no_crop_keep_ct_rates(recipe, tmp_path):
    folder = _write_folder(recipe, tmp_path / "model")
    description = tomllib.loads((folder / "model.toml").read_text("utf-8"))
    del description["crop"]
    (folder / "model.toml").write_text(tomli_w.dumps(description), "utf-8")
    for model in (small_fvlm(), load_model(folder)):
        assert model.crop_protocol == CropProtocol()
        assert model.crop_protocol.shape == (112, 288, 352)
        assert model.encoding_windows == FVLM.encoding_windows


@pytest.mark.parametrize(
    ("crop", "told"),
    [
        ({"shape": [8, 16]}, "crop.shape: expected three whole numbers"),
        ({"margin": [-1, 2, 2]}, "crop.margin: expected three whole numbers"),
        ({"size": [8, 16, 16]}, "unknown crop keys size"),
    ],
)
def test_a_damaged_crop_is_refused_by_name(recipe, tmp_path, crop, told):
    folder = _write_folder(recipe, tmp_path / "model")
    description = tomllib.loads((folder / "model.toml").read_text("utf-8"))
    (folder / "model.toml").write_text(tomli_w.dumps(description | {"crop": crop}), "utf-8")
    with pytest.raises(CheckpointMismatch, match=told):
        load_model(folder)

"""What prepare made is trained on: every recipe, what is left out, and going on after a stop."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from typer.testing import CliRunner

from napari_ctclip.cli import train as cli_train
from napari_ctclip.core.errors import DataError
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.volume import Volume
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.io.store.study_store import StudyStore
from napari_ctclip.preprocessing.specification import Preprocessing
from napari_ctclip.pretraining.building import METHODS
from napari_ctclip.pretraining.data.montages import montage_options, montage_views
from napari_ctclip.pretraining.sources import prepared_data
from napari_ctclip.session.session import Session
from tests.preparation.conftest import ANATOMIES, Prepared
from tests.preparation.made_up_archive import _study, study_name
from tests.preparation.training_runs import TRAINING, refusal, smoke, train


def changed_set(prepared: Prepared, folder: Path, change) -> Path:
    """Write the manifest anew beside the same store, each entry changed, or left out for None."""
    folder.mkdir()
    (folder / "store").symlink_to(prepared.out / "store")
    lines = (prepared.out / "manifest.jsonl").read_text("utf-8").splitlines()
    entries = (change(json.loads(line)) for line in lines)
    text = "".join(json.dumps(entry) + "\n" for entry in entries if entry is not None)
    (folder / "manifest.jsonl").write_text(text, "utf-8")
    return folder


@pytest.mark.parametrize("method", METHODS)
def test_every_recipe_trains_from_the_archive_and_its_folder_opens(
    method: str, prepared: Prepared, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    train(method, prepared.out / "manifest.jsonl", out)
    rows = list(csv.DictReader((out / "metrics.csv").open(encoding="utf-8")))
    assert len(rows) == 2
    for row in rows:
        assert np.isfinite(float(row["loss"]))
        assert 0 <= float(row["waited"]) <= float(row["seconds"])
    session = Session(cache=FeatureCache(tmp_path / "cache"), device="cpu")
    session.load_model(out / "model")
    assert session.model is not None
    assert session.model.preprocessing.spacing_mm == (8.0, 8.0, 8.0)
    known = json.loads((out / "data.json").read_text("utf-8"))
    assert known["store"] == StudyStore(prepared.out).hash
    assert known["studies"] > 15
    assert str(prepared.folder) not in "".join(
        (out / name).read_text("utf-8") for name in ("data.json", "provenance.json", "recipe.toml")
    )


def test_a_crop_is_what_the_viewer_shows_the_model(prepared: Prepared) -> None:
    recipe = smoke("fvlm", "data.crop=[56, 48, 56]")
    data = prepared_data(recipe, prepared.out)
    names = [study.entry.study_id for study in data.source._studies]
    sample = data.source.sample(names.index(study_name(2)), np.random.default_rng(0))
    seen = Preprocessing(**recipe.preprocessing.model_dump()).prepare(_study(2).volume).image
    size = tuple(min(a, b) for a, b in zip(seen.shape[1:], recipe.data.crop, strict=True))
    inside = tuple(slice(n) for n in size)
    assert recipe.data.crop[0] > seen.shape[1], "the crop reaches beyond this scan"
    offsets = [range(n - k + 1) for n, k in zip(seen.shape[1:], size, strict=True)]
    differences = [
        np.abs(
            seen[:, z : z + size[0], y : y + size[1], x : x + size[2]] - sample.image[:, *inside]
        )
        for z in offsets[0]
        for y in offsets[1]
        for x in offsets[2]
    ]
    assert min(d.max() for d in differences) <= 0.5 / 400 + 1e-6
    assert not sample.image[:, size[0] :].any()
    assert not sample.masks[:, size[0] :].any()
    lung = sample.masks[0][inside]
    assert lung.any()
    assert sample.image[1][inside][lung].mean() < 0.1  # lung is black in a soft-tissue window


def test_captions_hold_what_the_report_says(prepared: Prepared) -> None:
    source = prepared_data(smoke("ct_glip"), prepared.out).source
    lungs = [source._reader.captions(study.entry)[0] for study in source._studies]
    assert all(caption.text for caption in lungs)
    for study, caption in zip(source._studies, lungs, strict=True):
        assert caption.normal == study.entry.organ_normal["lung"]
        if study.entry.labels["emphysema"]:
            assert "emphysema" in caption.abnormalities
        if caption.normal:
            assert not caption.abnormalities
    assert any(caption.abnormalities for caption in lungs)


def test_studies_that_lack_what_a_method_needs_are_left_out_and_counted(
    prepared: Prepared, tmp_path: Path
) -> None:
    silent = {study_name(0), study_name(1)}

    def change(entry: dict) -> dict:
        entry["split"] = "train"
        if entry["study_id"] in silent:
            entry["organ_sentences"] = {"liver": "Liver is normal."}
            entry["organ_normal"] = {}
        if entry["study_id"] == study_name(2):
            entry["study_id"] = "gone"
        return entry

    folder = changed_set(prepared, tmp_path / "set", change)
    total = len(prepared.plan.entries) - 8  # eight are set aside when their files are read
    for method, left_out in (("fvlm", 3), ("clip_ild_dapt", 3), ("clip", 1)):
        data = prepared_data(smoke(method), folder)
        assert len(data.source) == total - left_out
        told = " ".join(notice.message for notice in data.notices)
        assert f"1 of {total} studies are left out: they are in the manifest and not in" in told
        assert ("2 of 27 studies are left out" in told) == (left_out == 3)
        assert ("CT0000, CT0001" in told) == (left_out == 3)


def test_an_anatomy_that_is_never_described_is_named(prepared: Prepared, tmp_path: Path) -> None:
    def change(entry: dict) -> dict:
        for table in ("organ_sentences", "organ_normal"):
            entry[table].pop("heart", None)
        return entry

    folder = changed_set(prepared, tmp_path / "set", change)
    (notice,) = prepared_data(smoke("fvlm"), folder).notices
    assert "no study has both a mask of and a sentence about heart" in notice.message
    assert "no study" in notice.message


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("preprocessing.spacing_mm=[2, 2, 2]", "--orientation IPL --spacing 2 2 2"),
        ("preprocessing.orientation=SPL", "--set preprocessing.orientation=IPL"),
        ('data.anatomies=["lung", "kidney"]', "no masks of kidney; it was prepared with aorta"),
        ("data.split=test", "no study of the split 'test'"),
        ("data.dictionary=nowhere.toml", "nowhere.toml: no such file"),
    ],
)
def test_a_set_that_does_not_fit_the_recipe_is_one_line_that_says_how_to_mend_it(
    override: str, told: str, prepared: Prepared, monkeypatch, capsys
) -> None:
    recipe = str(TRAINING / "ct_glip" / "smoke.toml")
    arguments = ["ct_glip", "--recipe", recipe, "--data", str(prepared.out), "--dry-run"]
    assert told in refusal(monkeypatch, capsys, *arguments, "--set", override)


def test_montages_want_axial_slices(tmp_path: Path) -> None:
    from napari_ctclip.io.store.study_record import StoreSpecification
    from napari_ctclip.io.store.study_store import create_store

    create_store(tmp_path / "store", StoreSpecification(orientation="SPL", spacing_mm=(8, 8, 8)))
    line = {"study_id": "a", "patient_id": "a", "image": "a.nii.gz", "split": "train"}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(line), "utf-8")
    with pytest.raises(DataError, match="again with --orientation IPL"):
        prepared_data(smoke("clip_ild_dapt", "preprocessing.orientation=SPL"), tmp_path)


def test_a_folder_that_is_no_set_is_refused(tmp_path: Path, monkeypatch, capsys) -> None:
    told = refusal(monkeypatch, capsys, "fvlm", "--dry-run", "--data", str(tmp_path))
    assert "make one with napari-ctclip-train prepare" in told


def test_dry_run_counts_the_studies_of_the_set(prepared: Prepared) -> None:
    arguments = ["fvlm", "--recipe", str(TRAINING / "fvlm" / "smoke.toml"), "--dry-run"]
    result = CliRunner().invoke(cli_train.app, [*arguments, "--data", str(prepared.out)])
    assert result.exit_code == 0, result.output
    assert f"{len(prepared_data(smoke('fvlm'), prepared.out).source)} studies" in result.output


def test_a_stopped_run_goes_on_to_the_same_weights_and_with_no_other_data(
    prepared: Prepared, tmp_path: Path, monkeypatch, capsys
) -> None:
    whole, part = tmp_path / "whole", tmp_path / "part"
    train("fvlm", prepared.out, whole, "optimizer.steps=3", "data.flip=0.5", "optimizer.warm_up=9")
    train("fvlm", prepared.out, part, "data.flip=0.5", "optimizer.warm_up=9")
    again = ("optimizer.steps=3", "data.flip=0.5", "data.workers=3", "optimizer.warm_up=9")
    train("fvlm", prepared.out, part, *again, more=("--resume",))
    one, other = (load_file(out / "model" / "weights.safetensors") for out in (whole, part))
    assert one.keys() == other.keys()
    for name, weight in one.items():
        np.testing.assert_array_equal(weight, other[name])
    fewer = changed_set(
        prepared, tmp_path / "set", lambda e: None if e["study_id"] == study_name(0) else e
    )
    arguments = ["fvlm", "--recipe", str(part / "recipe.toml"), "--resume", "--out", str(part)]
    for data in ([], ["--data", str(fewer)]):
        told = refusal(monkeypatch, capsys, *arguments, *data)
        assert "began with other data" in told


def test_montages_of_the_store_are_the_shared_function_s(prepared: Prepared) -> None:
    recipe = smoke("clip_ild_dapt", "objective.arm=image")
    source = prepared_data(recipe, prepared.out).source
    sample = source.sample(0, np.random.default_rng(4))
    study = source._studies[0]
    start, stop = source._around_lung(study)
    part = StudyStore(prepared.out).crop(study.entry.study_id, start, stop)
    legend = {name: n for n, name in enumerate(ANATOMIES, start=1)}
    options = montage_options(recipe.data.crop, recipe.preprocessing.windows_hu)
    first, second = montage_views(
        Volume(part.voxels, part.geometry),
        OrganMasks(part.labels, legend, part.geometry),
        np.random.default_rng(4),
        options,
    )
    np.testing.assert_array_equal(sample.image, first)
    np.testing.assert_array_equal(sample.second_view, second)
    assert sample.report == study.entry.organ_sentences["lung"]


def test_arms_of_dapt_make_no_picture_they_do_not_use(prepared: Prepared) -> None:
    for arm, blank in (("image+text", False), ("text", True)):
        source = prepared_data(smoke("clip_ild_dapt", f"objective.arm={arm}"), prepared.out).source
        sample = source.sample(0, np.random.default_rng(4))
        assert sample.second_view is None
        assert bool(sample.image.any()) is not blank


def test_the_dictionary_of_the_set_holds_what_its_reports_tell_of(prepared: Prepared) -> None:
    own = prepared_data(smoke("ct_glip", "data.dictionary=set"), prepared.out).abnormalities
    shipped = prepared_data(smoke("ct_glip"), prepared.out).abnormalities
    names = {name for name, _ in own["lung"]}
    assert "emphysema" in names
    assert names < {name for name, _ in shipped["lung"]}
    assert ("aortic calcification", "aortic calcification") in shipped["aorta"]


def test_a_study_damaged_since_it_was_prepared_is_named(prepared: Prepared, tmp_path: Path) -> None:
    shutil.copytree(prepared.out, tmp_path / "set")
    store = StudyStore(tmp_path / "set")
    (store.folder_of(study_name(0)) / "zarr.json").write_text("{", "utf-8")
    told = " ".join(n.message for n in prepared_data(smoke("clip"), tmp_path / "set").notices)
    assert "left out" in told
    assert study_name(0) in told

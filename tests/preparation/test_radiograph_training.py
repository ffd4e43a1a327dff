"""Training on a prepared set of radiographs."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from napari_ctclip.cli import train as cli_train
from napari_ctclip.pretraining.recipe_files import load_recipe
from napari_ctclip.pretraining.sources import prepared_data
from tests.preparation.test_radiographs import GREY
from tests.preparation.training_runs import TRAINING, refusal, smoke, train


@pytest.fixture(scope="module")
def radiographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four radiographs with reports, prepared by the command."""
    folder = tmp_path_factory.mktemp("radiographs")
    rows = [("image", "patient", "report")]
    for n in range(4):
        Image.fromarray(np.roll(GREY, 9 * n, axis=0)).save(folder / f"r{n}.png")
        rows.append((f"r{n}.png", f"p{n}", f"Heart is enlarged. No effusion on day {n}."))
    with (folder / "table.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    arguments = ["prepare", str(folder), "--reports", str(folder / "table.csv"), "--workers", "1"]
    arguments += ["--layout", "radiographs", "--pixels", "64", "--valid-share", "0", "--out"]
    result = CliRunner().invoke(cli_train.app, [*arguments, str(folder / "set")])
    assert result.exit_code == 0, result.output
    return folder / "set"


FLAT = (
    "preprocessing.spacing_mm=[1, 1, 1]",
    "preprocessing.windows_hu=[[0, 4095]]",
    "preprocessing.multiple_of=[1, 8, 8]",
    "data.crop=[1, 56, 56]",
    "data.anatomies=[]",
    "model.image.patch_size=[1, 8, 8]",
    "model.image.position_grid=[1, 7, 7]",
)


def test_the_recipe_of_radiographs_fits_a_set_of_them(radiographs: Path) -> None:
    recipe = load_recipe(TRAINING / "lrclr" / "radiographs.toml")
    data = prepared_data(recipe, radiographs)
    sample = data.source.sample(0, np.random.default_rng(1))
    assert sample.image.shape == (1, 1, 224, 224)
    (notice,) = data.notices
    assert "a batch of 32 is more than the 4 studies" in notice.message


def test_lrclr_trains_on_radiographs(radiographs: Path, tmp_path: Path) -> None:
    train("lrclr", radiographs, tmp_path / "run", *FLAT)
    (first, *_) = csv.DictReader((tmp_path / "run" / "metrics.csv").open(encoding="utf-8"))
    assert np.isfinite(float(first["loss"]))
    source = prepared_data(smoke("lrclr", *FLAT), radiographs).source
    sample = source.sample(0, np.random.default_rng(1))
    assert sample.image.shape == (1, 1, 56, 56)
    assert sample.image.max() > 0.7 > 0.3 > sample.image.min()


def test_radiographs_are_not_for_methods_of_organs(radiographs: Path, monkeypatch, capsys) -> None:
    recipe = str(TRAINING / "fvlm" / "smoke.toml")
    arguments = ["fvlm", "--recipe", recipe, "--data", str(radiographs), "--dry-run"]
    assert "windows_hu to [[0, 4095]]" in refusal(monkeypatch, capsys, *arguments)
    flat = [part for override in FLAT for part in ("--set", override)]
    assert "train lrclr, clip or siglip" in refusal(monkeypatch, capsys, *arguments, *flat)

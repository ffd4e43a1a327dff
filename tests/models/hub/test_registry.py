from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from napari_ctclip.cli import main as cli
from napari_ctclip.models.factory import IMPORTERS, load_model
from napari_ctclip.models.fvlm import FVLM_PREPROCESSING
from napari_ctclip.models.hub.registry import (
    KNOWN_MODELS,
    Access,
    KnownModel,
    ModelState,
    known_model,
)
from napari_ctclip.models.published.fvlm_import import FVLM_LICENCE
from napari_ctclip.models.published.hlip import HLIP_PREPROCESSING
from napari_ctclip.models.published.merlin import MERLIN_PREPROCESSING
from napari_ctclip.preprocessing.specification import Preprocessing
from tests.paths import DOCS

runner = CliRunner()
REFERENCE = DOCS / "reference" / "models.md"

by_name = pytest.mark.parametrize("model", KNOWN_MODELS, ids=lambda model: model.name)


@by_name
def test_every_model_says_all_a_user_must_know_before_using_it(model: KnownModel) -> None:
    assert model.licence
    assert model.source
    assert model.intended_use
    assert model.how
    assert not str(model.expected_input).endswith("; ")
    for file in model.files:
        assert file.sha256 == "" or re.fullmatch("[0-9a-f]{64}", file.sha256)
    if model.access == Access.DOWNLOAD:
        assert model.files
        assert all(file.repository for file in model.files)
        assert len({file.target for file in model.files}) == len(model.files)


def test_names_are_unique() -> None:
    assert len({model.name for model in KNOWN_MODELS}) == len(KNOWN_MODELS)


def test_starters_entry_is_true_of_what_is_bundled() -> None:
    starter = known_model("starter")
    assert starter is not None
    for file in starter.files:
        content = (starter.folder / file.target).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file.sha256
    size = sum(path.stat().st_size for path in starter.folder.iterdir()) / 1e6
    assert size == pytest.approx(starter.size_mb, abs=0.1)
    wanted = load_model("starter").preprocessing
    assert starter.expected_input.orientation == wanted.orientation
    assert starter.expected_input.spacing_mm == wanted.spacing_mm
    assert starter.expected_input.windows_hu == wanted.windows_hu
    assert starter.state == ModelState.BUNDLED


def test_bundled_2d_model_is_as_large_as_its_entry_says_and_at_most_20_mb() -> None:
    known = known_model("starter-2d")
    assert known is not None
    size = sum(path.stat().st_size for path in known.folder.iterdir()) / 1e6
    assert size == pytest.approx(known.size_mb, abs=0.1)
    assert size <= 20


def test_fvlms_entry_is_true_of_its_importer() -> None:
    fvlm = known_model("fvlm")
    assert fvlm is not None
    assert fvlm.licence == FVLM_LICENCE
    assert fvlm.expected_input.orientation == FVLM_PREPROCESSING.orientation
    assert fvlm.expected_input.spacing_mm == FVLM_PREPROCESSING.spacing_mm
    assert fvlm.expected_input.windows_hu == FVLM_PREPROCESSING.windows_hu


@pytest.mark.parametrize(
    ("name", "preprocessing"), [("merlin", MERLIN_PREPROCESSING), ("hlip", HLIP_PREPROCESSING)]
)
def test_imported_models_entries_are_true_of_their_importers(
    name: str, preprocessing: Preprocessing
) -> None:
    model = known_model(name)
    assert model is not None
    assert model.expected_input.orientation == preprocessing.orientation
    assert model.expected_input.spacing_mm == preprocessing.spacing_mm
    assert model.expected_input.windows_hu == preprocessing.windows_hu
    assert " x ".join(map(str, preprocessing.shape or ())) in model.expected_input.note


@by_name
def test_every_importer_has_an_entry_that_names_its_command(model: KnownModel) -> None:
    named = f"models import {model.name} " in model.how
    assert named == (model.name in IMPORTERS)


@by_name
def test_reference_page_has_every_model_with_its_licence(model: KnownModel) -> None:
    rows = [line for line in REFERENCE.read_text("utf-8").splitlines() if line.startswith("| `")]
    (row,) = [row for row in rows if row.startswith(f"| `{model.name}` |")]
    assert model.licence in row
    without_home = {Access.DOWNLOAD: "can be downloaded", Access.OWN_FILE: "bring your own file"}
    assert without_home.get(model.access, str(model.state)) in row
    assert str(model.expected_input) in row


def test_list_shows_every_model_and_says_which_importers_are_not_done(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NAPARI_CTCLIP_MODELS", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "250")
    shown = runner.invoke(cli.app, ["models", "list"]).output
    for model in KNOWN_MODELS:
        assert re.search(rf"│ {model.name} +│ {model.state} +│", shown), model.name


@by_name
def test_info_shows_licence_source_and_input(model: KnownModel) -> None:
    result = runner.invoke(cli.app, ["models", "info", model.name])
    assert result.exit_code == 0
    shown = " ".join(result.output.split())
    for told in (model.licence, model.intended_use, str(model.expected_input), str(model.state)):
        assert " ".join(told.split()) in shown


def test_unknown_name_lists_the_known_ones() -> None:
    result = runner.invoke(cli.app, ["models", "info", "gpt"])
    assert result.exit_code == 3
    assert "expected one of: starter, starter-2d, colipri" in result.stderr

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from napari_ctclip.cli import main as cli
from napari_ctclip.core.errors import CtClipError
from napari_ctclip.models.hub.download import download_model, recorded_files
from napari_ctclip.models.hub.registry import KnownModel, ModelFile, ModelState, known_model
from tests.models.small_hub import SmallHub, small_hub

runner = CliRunner()

WEIGHTS = bytes(range(256)) * 4000
CONFIG = b'{"a": 1}\n'
LARGE = "/lab/ct/resolve/main/weights.bin"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SmallHub]:
    monkeypatch.setenv("NAPARI_CTCLIP_MODELS", str(tmp_path / "models"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with small_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        hub.put("lab/ct", "weights.bin", WEIGHTS, large=True)
        hub.put("lab/ct", "config.json", CONFIG)
        yield hub


@pytest.fixture
def model() -> KnownModel:
    known = known_model("colipri")
    assert known is not None
    files = (
        ModelFile("weights.bin", "lab/ct"),
        ModelFile("config.json", "lab/ct", to="text_encoder/config.json"),
    )
    return replace(known, name="lab-ct", files=files)


def test_files_come_whole_and_are_recorded(hub: SmallHub, model: KnownModel) -> None:
    assert model.state == ModelState.DOWNLOADABLE
    told: list[tuple[str, int, int]] = []
    files = download_model(model, progress=lambda *step: told.append(step))
    assert (model.folder / "weights.bin").read_bytes() == WEIGHTS
    assert (model.folder / "text_encoder" / "config.json").read_bytes() == CONFIG
    assert told[-1] == ("config.json", len(CONFIG), len(CONFIG))
    assert recorded_files(model.folder) == files
    assert files[0].sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    assert files[0].commit == "c0ffee"
    assert model.state == ModelState.HERE
    record = json.loads((model.folder / "download.json").read_text())
    assert record["licence"] == "MIT"
    assert not list(model.folder.rglob("*.part"))


def test_interrupted_download_goes_on_where_it_stopped(hub: SmallHub, model: KnownModel) -> None:
    hub.breaks_after = 300_000
    with pytest.raises(CtClipError, match=r"0\.3 MB are on disk"):
        download_model(model)
    assert model.state == ModelState.DOWNLOADABLE
    assert not (model.folder / "weights.bin").exists()
    hub.breaks_after = None
    download_model(model)
    assert ("GET", f"/cdn{LARGE}", "bytes=300000-") in hub.asked
    assert (model.folder / "weights.bin").read_bytes() == WEIGHTS


def test_server_without_ranges_is_read_from_the_start(hub: SmallHub, model: KnownModel) -> None:
    hub.breaks_after = 300_000
    with pytest.raises(CtClipError):
        download_model(model)
    hub.breaks_after, hub.knows_ranges = None, False
    download_model(model)
    assert (model.folder / "weights.bin").read_bytes() == WEIGHTS


@pytest.mark.parametrize("stated", ["published", "large", "small"])
def test_wrong_checksum_is_refused_and_the_file_removed(
    stated: str, hub: SmallHub, model: KnownModel
) -> None:
    if stated == "published":
        files = (replace(model.files[0], sha256="0" * 64), model.files[1])
        model, wrong = replace(model, files=files), "weights.bin"
    elif stated == "large":
        hub.stated[LARGE], wrong = "1" * 64, "weights.bin"
    else:
        hub.stated["/lab/ct/resolve/main/config.json"] = "2" * 40
        wrong = "text_encoder/config.json"
    with pytest.raises(CtClipError, match=r"expected (git )?SHA-\d+ [012]{40}"):
        download_model(model)
    assert not (model.folder / wrong).exists()
    assert not list(model.folder.rglob("*.part"))
    assert model.state == ModelState.DOWNLOADABLE


def test_part_of_another_file_does_not_become_this_one(hub: SmallHub, model: KnownModel) -> None:
    model.folder.mkdir(parents=True)
    (model.folder / "weights.bin.part").write_bytes(b"x" * 1000)
    with pytest.raises(CtClipError, match="SHA-256"):
        download_model(model)
    download_model(model)
    assert (model.folder / "weights.bin").read_bytes() == WEIGHTS


def test_what_is_there_is_verified_and_only_damage_is_downloaded_again(
    hub: SmallHub, model: KnownModel
) -> None:
    first = download_model(model)
    hub.asked.clear()
    assert download_model(model) == first
    assert hub.asked == []
    (model.folder / "text_encoder" / "config.json").write_bytes(b"damaged")
    assert download_model(model) == first
    assert {path for _, path, _ in hub.asked} == {"/lab/ct/resolve/main/config.json"}
    assert (model.folder / "text_encoder" / "config.json").read_bytes() == CONFIG


def test_missing_file_on_the_hub_is_told(hub: SmallHub, model: KnownModel) -> None:
    del hub.files["/lab/ct/resolve/main/config.json"]
    with pytest.raises(CtClipError, match=r"config\.json: the server answers 404"):
        download_model(model)


def test_offline_is_said_at_once_without_asking_anyone(
    hub: SmallHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    result = runner.invoke(cli.app, ["models", "download", "colipri", "--yes"])
    assert result.exit_code == 3
    assert result.stderr.strip().splitlines()[-1].startswith("error: offline (HF_HUB_OFFLINE")
    assert hub.asked == []


def test_no_network_is_one_line(hub: SmallHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    result = runner.invoke(cli.app, ["models", "download", "colipri", "--yes"])
    assert result.exit_code == 3
    (line,) = [text for text in result.stderr.splitlines() if text.strip()]
    assert "cannot be reached" in line
    assert "copy the model's folder" in line


def test_licence_is_shown_and_no_means_nothing_is_fetched(hub: SmallHub) -> None:
    result = runner.invoke(cli.app, ["models", "download", "vit-b-32-laion2b"], input="n\n")
    assert result.exit_code == 1
    assert "licence" in result.output
    assert "MIT" in result.output
    assert hub.asked == []


def test_yes_downloads_and_says_how_to_use_it(hub: SmallHub) -> None:
    hub.put("microsoft/colipri", "model.safetensors", WEIGHTS, large=True)
    for path in ("config.json", "vocab.txt"):
        hub.put("microsoft/BiomedVLP-CXR-BERT-specialized", path, CONFIG)
    result = runner.invoke(cli.app, ["models", "download", "colipri", "--yes"])
    assert result.exit_code == 0, result.output
    assert hashlib.sha256(WEIGHTS).hexdigest() in result.output
    assert "--model colipri" in result.output
    shown = runner.invoke(cli.app, ["models", "info", "colipri"]).output
    assert "on this machine" in shown
    assert "(of your download)" in shown


@pytest.mark.parametrize(
    ("name", "told"), [("fvlm", "on request"), ("radar", "not done"), ("starter", "bundled")]
)
def test_models_that_cannot_be_downloaded_say_what_to_do(
    name: str, told: str, hub: SmallHub
) -> None:
    result = runner.invoke(cli.app, ["models", "download", name, "--yes"])
    assert result.exit_code == 3
    assert told in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert hub.asked == []

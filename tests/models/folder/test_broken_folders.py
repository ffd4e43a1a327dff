"""Every broken model folder or file is refused with one clear message, and nothing of it is run."""

from __future__ import annotations

import os
import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from napari_ctclip.cli import main as cli
from napari_ctclip.core.errors import CheckpointMismatch
from napari_ctclip.models.factory import import_weights, load_model
from napari_ctclip.models.hub.registry import known_model
from tests.models.small_fvlm import released_weights, write_text_folder
from tests.models.small_hlip import released_hlip
from tests.models.small_merlin import released_merlin, write_longformer_folder
from tests.models.small_model import saved_small_model

pytest.importorskip("transformers", reason="fVLM's text encoder needs transformers")

RELEASES: dict[str, tuple[Callable[[Path], Path], Callable[[Path], tuple[Any, Any]]]] = {
    "fvlm": (write_text_folder, released_weights),
    "hlip": (write_text_folder, released_hlip),
    "merlin": (write_longformer_folder, released_merlin),
}
"""What writes a text encoder's files and makes released weights, by the kind of the importer."""

runner = CliRunner()


class _Malice:
    """Unpickled the careless way, this makes a folder."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


def _write_release(kind: str, folder: Path) -> Path:
    """Write model.pth; return the folder of its text encoder."""
    write_texts, released = RELEASES[kind]
    texts = write_texts(folder / "texts")
    torch.save({"model": released(texts)[1]}, folder / "model.pth")
    return texts


@pytest.fixture(params=("dual encoder", *RELEASES))
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A whole model folder of each family."""
    folder = tmp_path / "model"
    if request.param in RELEASES:
        texts = _write_release(request.param, tmp_path)
        import_weights(request.param, tmp_path / "model.pth", folder, text_folder=texts)
    else:
        saved_small_model(folder)
    load_model(folder)
    return folder


def _change(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    weights = load_file(folder / "weights.safetensors")
    change(weights)
    save_file(weights, folder / "weights.safetensors")


def _refused(folder: Path, told: str) -> None:
    with pytest.raises(CheckpointMismatch, match=told) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_renamed_key(folder: Path) -> None:
    def rename(weights: dict[str, torch.Tensor]) -> None:
        weights["image_encoder.renamed"] = weights.pop(min(weights))

    first = min(load_file(folder / "weights.safetensors"))
    _change(folder, rename)
    _refused(folder, f"1 missing: {re.escape(first)}; 1 unexpected: image_encoder.renamed")


def test_wrong_shape(folder: Path) -> None:
    weights = load_file(folder / "weights.safetensors")
    name = min(name for name, tensor in weights.items() if tensor.ndim == 2)
    shape = tuple(weights[name].shape)
    _change(folder, lambda weights: weights.update({name: torch.zeros(3, 2)}))
    _refused(folder, re.escape(f"{name} (expected {shape}, got (3, 2))"))


def test_truncated_weights(folder: Path) -> None:
    file = folder / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    _refused(folder, "damaged \\(cut short")


def test_no_preprocessing(folder: Path) -> None:
    description = tomllib.loads((folder / "model.toml").read_text())
    del description["preprocessing"]
    (folder / "model.toml").write_text(tomli_w.dumps(description))
    _refused(folder, "has no preprocessing")


def test_wrong_file_type(folder: Path) -> None:
    (folder / "weights.safetensors").write_text("name,score\nlung,1\n")
    _refused(folder, "no safetensors file")


def test_pickle_under_another_name_is_not_opened(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "made_by_malice"
    torch.save({"weight": _Malice(target)}, folder / "weights.safetensors")
    _refused(folder, "PyTorch pickle under another name")
    assert not target.exists()
    shutil.move(folder / "weights.safetensors", tmp_path / "weights.pth")
    torch.load(tmp_path / "weights.pth", weights_only=False)  # the trap is real
    assert target.exists()


def test_folder_without_a_card_opens(folder: Path) -> None:
    (folder / "MODEL_CARD.md").unlink(missing_ok=True)
    assert load_model(folder).weights_hash()


@pytest.mark.parametrize("kind", RELEASES)
def test_import_writes_a_card_with_licence_and_checksum(kind: str, tmp_path: Path) -> None:
    texts, known = _write_release(kind, tmp_path), known_model(kind)
    import_weights(kind, tmp_path / "model.pth", tmp_path / "out", text_folder=texts)
    card = (tmp_path / "out" / "MODEL_CARD.md").read_text()
    assert known is not None
    assert f"licence of the weights: {known.licence}" in card
    assert "Research use only" in card
    assert re.search("sha256: [0-9a-f]{64}", card)
    spacing = " x ".join(f"{s:g}" for s in known.expected_input.spacing_mm)
    assert f"axes {known.expected_input.orientation}, {spacing} mm, HU -" in card


@pytest.mark.parametrize("kind", RELEASES)
@pytest.mark.parametrize("content", ["bomb", "text", "cut", "renamed", "reshaped", "nothing there"])
def test_importing_a_bad_file_is_one_line_and_leaves_no_folder(
    content: str, kind: str, tmp_path: Path
) -> None:
    target, file = tmp_path / "made_by_malice", tmp_path / "model.pth"
    texts = _write_release(kind, tmp_path)
    state = torch.load(file, weights_only=True)["model"]
    name = max(name for name, tensor in state.items() if "text" in name and tensor.ndim == 2)
    told = "model.pth"
    if content == "bomb":
        torch.save({"model": state, "extra": _Malice(target)}, file)
    elif content == "text":
        file.write_text("no weights")
    elif content == "cut":
        file.write_bytes(file.read_bytes()[:5000])
    elif content == "nothing there":
        file.unlink()
    else:
        tensor = state.pop(name)
        state |= {"renamed": tensor} if content == "renamed" else {name: torch.zeros(3, 2)}
        torch.save({"model": state}, file)
        told = name.removeprefix("module.")
    command = ["models", "import", kind, str(file), "--out", str(tmp_path / "out")]
    result = runner.invoke(cli.app, [*command, "--text-encoder", str(texts)])
    assert result.exit_code == 3
    assert len(result.stderr.strip().splitlines()) == 1
    assert told in result.stderr
    assert not target.exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", RELEASES)
def test_import_without_out_is_found_by_name(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NAPARI_CTCLIP_MODELS", str(tmp_path / "models"))
    texts = _write_release(kind, tmp_path)
    command = ["models", "import", kind, str(tmp_path / "model.pth")]
    result = runner.invoke(cli.app, [*command, "--text-encoder", str(texts)])
    assert result.exit_code == 0, result.output
    assert load_model(kind).name == kind
    shutil.rmtree(tmp_path / "models")
    with pytest.raises(CheckpointMismatch, match=f"models import {kind}"):
        load_model(kind)

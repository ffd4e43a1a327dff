from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from napari_ctclip.core.errors import CheckpointMismatch, CtClipError, DataError
from napari_ctclip.evaluation.task_files import read_tasks
from napari_ctclip.models.factory import load_model
from napari_ctclip.models.folder.model_folder import kind_of_folder
from napari_ctclip.models.fvlm import FVLM, FVLM_ANATOMIES
from napari_ctclip.models.published import release
from napari_ctclip.models.published.fvlm_import import FVLM_PROMPTS, import_fvlm
from napari_ctclip.models.text.bert_text_encoder import BertTextEncoder
from tests.models.small_fvlm import released_weights, write_text_folder

pytest.importorskip("transformers", reason="fVLM's text encoder needs transformers")

TEXTS = ["Emphysema.", "Not Emphysema.", "A longer sentence about the aorta."]


class _Malice:
    """Unpickled the careless way, this makes a folder."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.fixture
def text_folder(tmp_path: Path) -> Path:
    return write_text_folder(tmp_path / "bert")


@pytest.fixture
def weights(text_folder: Path) -> tuple[FVLM, dict[str, Tensor]]:
    return released_weights(text_folder)


def _saved(state: Any, tmp_path: Path) -> Path:
    torch.save(state, tmp_path / "model.pth")
    return tmp_path / "model.pth"


@pytest.mark.parametrize("written", ["released", "wrapped"])
def test_imported_folder_gives_the_embeddings_of_the_weights(
    written: str, weights: tuple[FVLM, dict[str, Tensor]], text_folder: Path, tmp_path: Path
) -> None:
    model, state = weights
    # what the release holds beside: a language head, a buffer, bookkeeping
    extra = {
        "text_encoder.cls.predictions.bias": torch.zeros(3),
        "text_encoder.embeddings.position_ids": torch.arange(64)[None],
    }
    if written == "wrapped":
        state = {
            f"module.{n.replace('text_encoder.', 'text_encoder.bert.', 1)}": t
            for n, t in state.items()
        }
        extra = {}
    file = _saved({"model": state | extra, "epoch": 19}, tmp_path)
    import_fvlm(file, tmp_path / "folder", text_folder=text_folder)
    loaded = load_model(tmp_path / "folder")
    image = torch.rand(1, 1, 32, 32, 64)
    masks = torch.ones(1, 4, 32, 32, 64, dtype=torch.bool)
    with torch.inference_mode():
        assert torch.allclose(loaded.embed_text(TEXTS), model.embed_text(TEXTS), atol=1e-6)
        features, expected = loaded.encode_image(image), model.encode_image(image)
        found = loaded.embed_regions(features, masks).vectors
        assert torch.allclose(found, model.embed_regions(expected, masks).vectors, atol=1e-6)
    assert loaded.suggested_prompts == FVLM_PROMPTS
    assert len(loaded.weights_hash()) == 64


def test_every_difference_from_the_release_is_named(
    weights: tuple[FVLM, dict[str, Tensor]], text_folder: Path, tmp_path: Path
) -> None:
    _, state = weights
    del state["query_tokens"]
    state["visual_encoder.pos_embed_2d"] = torch.zeros(3)
    state["vision_projs.2.weight"] = torch.zeros(7, 7)
    file = _saved({"model": state}, tmp_path)
    with pytest.raises(CheckpointMismatch) as caught:
        import_fvlm(file, tmp_path / "folder", text_folder=text_folder)
    message = str(caught.value)
    assert "1 missing: query_tokens" in message
    assert "1 unexpected: visual_encoder.pos_embed_2d" in message
    assert "vision_projs.2.weight (expected (24, 64), got (7, 7))" in message
    assert not (tmp_path / "folder").exists()


def test_pickle_that_would_run_code_is_refused_and_not_run(
    weights: tuple[FVLM, dict[str, Tensor]], text_folder: Path, tmp_path: Path
) -> None:
    target = tmp_path / "made_by_malice"
    file = _saved({"model": weights[1], "config": _Malice(target)}, tmp_path)
    with pytest.raises(CheckpointMismatch, match="could run code when opened"):
        import_fvlm(file, tmp_path / "folder", text_folder=text_folder)
    assert not target.exists()
    torch.load(file, weights_only=False)  # the trap is real
    assert target.exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut short"])
def test_file_that_is_no_checkpoint_is_refused(
    content: bytes, text_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "model.pth").write_bytes(content)
    with pytest.raises(CheckpointMismatch, match=r"model\.pth is refused"):
        import_fvlm(tmp_path / "model.pth", tmp_path / "folder", text_folder=text_folder)


def test_checkpoint_without_a_state_dict_is_refused(text_folder: Path, tmp_path: Path) -> None:
    file = _saved({"model": [1, 2, 3]}, tmp_path)
    with pytest.raises(CheckpointMismatch, match="expected a dictionary of tensors"):
        import_fvlm(file, tmp_path / "folder", text_folder=text_folder)


def test_damaged_weights_of_a_folder_are_refused(
    weights: tuple[FVLM, dict[str, Tensor]], text_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    import_fvlm(_saved({"model": weights[1]}, tmp_path), folder, text_folder=text_folder)
    assert kind_of_folder(folder) == "organ_query"
    whole = (folder / "weights.safetensors").read_bytes()
    (folder / "weights.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointMismatch, match="damaged"):
        load_model(folder)
    (folder / "text_encoder" / "vocab.txt").unlink()
    with pytest.raises(CheckpointMismatch, match=r"missing vocab\.txt"):
        load_model(folder)


def test_missing_text_encoder_says_which_and_how(
    monkeypatch: pytest.MonkeyPatch, weights: tuple[FVLM, dict[str, Tensor]], tmp_path: Path
) -> None:
    monkeypatch.setattr(release, "cached_folder", lambda *_: None)
    file = _saved({"model": weights[1]}, tmp_path)
    with pytest.raises(CheckpointMismatch, match=r"CXR-BERT.*--text-encoder"):
        import_fvlm(file, tmp_path / "folder")


def test_missing_transformers_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, text_folder: Path
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CtClipError, match=r"pip install .*\[bert\]"):
        BertTextEncoder.untrained(text_folder)


def test_text_is_the_state_of_its_first_piece_whatever_else_is_in_the_batch(
    text_folder: Path,
) -> None:
    torch.manual_seed(0)
    encoder = BertTextEncoder.untrained(text_folder).eval()
    with torch.inference_mode():
        together = encoder.encode(["nodule.", "a much longer text about an opacity."])
        alone = encoder.encode(["Nodule."])  # the vocabulary has lower case only
    assert torch.allclose(together[0], alone[0], atol=1e-5)
    assert not torch.allclose(together[0], together[1], atol=1e-3)
    with pytest.raises(DataError, match="empty"):
        encoder.encode(["  "])


def test_sixteen_tasks_ask_the_released_anatomies_in_the_released_words() -> None:
    tasks = read_tasks("ct_rate_16")
    assert tuple(task.prompt.positive for task in tasks.tasks) == FVLM_PROMPTS
    assert {task.prompt.anatomy for task in tasks.tasks} == set(FVLM_ANATOMIES)
    for task in tasks.tasks:
        assert task.prompt.negative == f"Not {task.prompt.positive}"
    published = [task.published_auroc or 0.0 for task in tasks.tasks]
    assert sum(published) / 16 == pytest.approx(0.777, abs=1e-3)
    with pytest.raises(DataError, match=r"expected one of: .*ct_rate_16"):
        read_tasks("ct_rate_17")

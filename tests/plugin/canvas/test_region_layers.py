"""A model that selects regions: what it looked at, and what a prompt's words found, are layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_ctclip.models.factory import load_model
from napari_ctclip.session.session import Session
from tests.plugin.conftest import Desk
from tests.pretraining.tiny_run import trained_folder

pytestmark = pytest.mark.gui
KEEP = 5


@pytest.fixture
def lrclr_desk(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    loaded = load_model(trained_folder("lrclr", tmp_path))
    monkeypatch.setattr(Session, "compute_model", lambda self, name="starter": loaded)
    desk.open()
    return desk


def _layer(desk: Desk, name: str) -> Any:
    return desk.viewer.layers[name]


def _on_tokens(desk: Desk, layer: Any) -> np.ndarray:
    """Return what a layer shows in the middle of every token; 0 for those centred off the scan."""
    tokens = desk.bench.session.encoding.scan.token_geometry
    frame = desk.bench.scene.frame
    middles = np.argwhere(np.ones(tokens.shape, dtype=bool))
    voxels = frame.geometry.world_to_index(tokens.index_to_world(middles))
    shown = (frame.index_to_display(voxels) - layer.translate) / layer.scale
    shown = np.clip(np.rint(shown), 0, np.asarray(layer.data.shape) - 1).astype(int)
    there = ((voxels >= -0.5) & (voxels <= np.asarray(frame.geometry.shape) - 0.5)).all(axis=1)
    return np.where(there, layer.data[tuple(shown.T)], 0.0).reshape(tokens.shape)


def test_the_selected_regions_are_a_layer_on_the_token_grid(lrclr_desk: Desk) -> None:
    lrclr_desk.ask("nodule")
    layer = _layer(lrclr_desk, "Selected regions")
    assert layer.visible
    assert np.count_nonzero(_on_tokens(lrclr_desk, layer)) == KEEP
    assert set(np.unique(layer.data)) <= set(np.unique(_on_tokens(lrclr_desk, layer)))
    assert layer.interpolation2d == "nearest"


def test_a_prompts_words_look_at_selected_regions_only(lrclr_desk: Desk) -> None:
    lrclr_desk.ask("small nodule")
    words = _layer(lrclr_desk, "Words: small nodule")
    selected = _layer(lrclr_desk, "Selected regions")
    assert not words.visible  # the heat is shown already
    words, selected = (_on_tokens(lrclr_desk, layer) for layer in (words, selected))
    assert not words[selected == 0].any()
    assert words.sum() == pytest.approx(1.0, abs=1e-3)
    assert lrclr_desk.heat("small nodule").visible


def test_region_layers_go_with_their_prompt_and_their_model(
    lrclr_desk: Desk, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lrclr_desk.ask("nodule")
    lrclr_desk.bench.prompts.remove("nodule")
    names = {layer.name for layer in lrclr_desk.viewer.layers}
    assert "Selected regions" in names
    assert "Words: nodule" not in names
    monkeypatch.setattr(Session, "compute_model", lambda self, name="starter": model)
    lrclr_desk.bench.prompts.load_model("starter")
    lrclr_desk.wait()
    lrclr_desk.ask("bright spot")
    names = {layer.name for layer in lrclr_desk.viewer.layers}
    assert names >= {"Heatmap: bright spot"}
    assert not [name for name in names if name == "Selected regions" or name.startswith("Words")]


def test_a_layer_the_user_hid_stays_hidden_when_it_is_drawn_anew(lrclr_desk: Desk) -> None:
    lrclr_desk.ask("nodule")
    _layer(lrclr_desk, "Selected regions").visible = False
    encoding = lrclr_desk.bench.session.encoding
    lrclr_desk.bench.session.set_encoding(encoding)
    lrclr_desk.wait()
    assert not _layer(lrclr_desk, "Selected regions").visible


def test_words_selected_in_a_report_are_a_map_of_attention_with_its_legend(
    lrclr_desk: Desk,
) -> None:
    lrclr_desk.ask("nodule")
    tab = lrclr_desk.widget.report
    tab.text.setPlainText("\N{MATHEMATICAL BOLD SMALL A} note. A small nodule in the lung.")
    assert not tab.words.isEnabled()
    tab.text.find("small nodule")  # selects it
    assert tab.words.isEnabled()
    tab.words.click()
    lrclr_desk.wait()
    layer = _layer(lrclr_desk, "Chosen words: small nodule")
    selected = _layer(lrclr_desk, "Selected regions")
    assert layer.visible
    assert not selected.visible
    looked_at = _on_tokens(lrclr_desk, layer)
    assert not looked_at[_on_tokens(lrclr_desk, selected) == 0].any()
    assert looked_at.sum() == pytest.approx(1.0, abs=1e-3)
    assert layer.contrast_limits[0] == pytest.approx(1 / KEEP)
    shown = lrclr_desk.bench.words.shown
    assert shown.phrase.text == "A small nodule in the lung."
    assert "no similarity" in tab.legend.text()
    assert "attention of “small nodule”, 0.200 (an even share, clear)" in tab.legend.text()
    lrclr_desk.viewer.layers.remove(layer)
    assert tab.legend.isHidden()
    assert selected.visible

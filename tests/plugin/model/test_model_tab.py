from __future__ import annotations

import numpy as np
import pytest

from napari_ctclip.models.hub.registry import KNOWN_MODELS, ModelState
from tests.phantom import ball_study
from tests.plugin.conftest import Desk

pytestmark = pytest.mark.gui


def _check(desk: Desk) -> None:
    desk.widget.model.check.button.click()
    desk.wait()


def test_check_shows_table_and_picture_before_anything_is_encoded(open_desk: Desk) -> None:
    open_desk.widget.tabs.setCurrentIndex(2)
    box = open_desk.widget.model.check
    assert box.button.isEnabled()
    assert box.table.isHidden()
    _check(open_desk)
    assert not open_desk.bench.session.is_ready
    assert not box.table.isHidden()
    for told in ("orientation", "2 x 1.5 x 1.5 mm", "-1000 to 1000", "passes", "about"):
        assert told in box.table.text()
    assert "field of view is small" in box.notices.text()
    image = box.picture.pixmap().toImage()
    pixels = {image.pixelColor(x, image.height() // 2).lightness() for x in range(image.width())}
    assert len(pixels) > 3  # a scan is drawn: lung, wall, ball


def test_check_loads_the_model_where_none_is_loaded(open_desk: Desk) -> None:
    assert open_desk.bench.session.model is None
    _check(open_desk)
    assert open_desk.bench.session.model is open_desk.model


def test_another_scan_takes_the_check_away(open_desk: Desk) -> None:
    _check(open_desk)
    assert not open_desk.widget.model.check.table.isHidden()
    open_desk.open(ball_study(with_masks=False))
    assert open_desk.widget.model.check.table.isHidden()
    open_desk.viewer.layers.clear()
    open_desk.wait()
    assert not open_desk.widget.model.check.button.isEnabled()


def test_failing_check_is_one_message_and_leaves_the_window_usable(
    open_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(image: object) -> None:
        raise ValueError("no such layer")

    with monkeypatch.context() as patch:
        patch.setattr(open_desk.model, "encode_image", fail)
        _check(open_desk)
    assert "no such layer" in open_desk.status
    open_desk.ask("bright spot")
    assert np.isfinite(open_desk.heat("bright spot").data).any()


def test_models_that_are_not_here_say_how_to_get_them(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("NAPARI_CTCLIP_MODELS", str(tmp_path))
    tab = desk.widget.model
    assert tab.models.count() == len(KNOWN_MODELS)
    for row, model in enumerate(KNOWN_MODELS):
        tab.models.setCurrentIndex(row)
        here = model.state == ModelState.BUNDLED
        assert tab.load.isEnabled() == here, model.name
        if not here:
            assert model.intended_use in " ".join(tab.card.toPlainText().split())
    assert "models download colipri" in _card_of(desk, "colipri")
    assert "models import hlip" in _card_of(desk, "hlip")
    assert "not documented" in _card_of(desk, "ct-clip")


def _card_of(desk: Desk, name: str) -> str:
    tab = desk.widget.model
    tab.models.setCurrentIndex(tab.models.findData(name))
    return tab.card.toPlainText()

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt

from napari_ctclip.models.published.slice_model import SliceModel
from napari_ctclip.session.session import Session
from tests.models.small_open_clip import small_open_clip
from tests.phantom import BALL_CENTRE, ball_study
from tests.plugin.conftest import Desk

pytestmark = pytest.mark.gui


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Batches of patches that were encoded; the model is a small one, brightness its answer."""
    import torch
    from torch.nn import functional

    model, batches = small_open_clip("resnet"), []

    def embed_patches(self: Any, patches: Any) -> Any:
        batches.append(len(patches))
        bright = patches[:, 2].amax(dim=(1, 2))
        return functional.normalize(torch.stack([bright, 1 - bright], dim=1), dim=1)

    def embed_text(self: Any, texts: Any) -> Any:
        return torch.tensor([[1.0, 0.0] if "bright" in t else [0.0, 1.0] for t in texts])

    monkeypatch.setattr(SliceModel, "embed_patches", embed_patches)
    monkeypatch.setattr(SliceModel, "embed_text", embed_text)
    monkeypatch.setattr(Session, "compute_model", lambda self, name="starter": model)
    return batches


@pytest.fixture
def desk(make_desk: Any) -> Desk:
    """A window on the screen, the ball scan open, small patches chosen."""
    desk = make_desk(show=True)
    desk.open()
    desk.widget.tabs.setCurrentIndex(3)
    tab = desk.widget.montage
    tab.side.setValue(24)
    tab.stride.setValue(6)
    tab.targets.setText("bright spot")
    tab.controls.setText("dark air")
    tab.count.setValue(6)
    return desk


def _find(desk: Desk) -> Any:
    desk.widget.montage.search.click()
    desk.wait()
    montage = desk.widget.montage.gallery.montage
    assert montage is not None, desk.status
    return montage


def test_best_tile_leads_to_the_ball_and_its_box_is_drawn_there(desk: Desk, encoded: Any) -> None:
    montage = _find(desk)
    gallery = desk.widget.montage.gallery
    place = gallery.tile_rect(0).center()
    desk.qtbot.mouseClick(
        gallery, Qt.MouseButton.LeftButton, pos=QPoint(round(place.x()), round(place.y()))
    )
    frame = desk.bench.scene.frame
    at = frame.display_to_index(desk.viewer.dims.point)
    assert at == montage.patches[0].voxel(montage.geometry)
    assert montage.patches[0].box(montage.geometry).contains(BALL_CENTRE, slices=4)
    layer = desk.viewer.layers["Patches"]
    assert 0 in desk.widget.montage.boxes.shown
    corners = layer.data[desk.widget.montage.boxes.shown.index(0)]
    box = montage.patches[0].box(montage.geometry)
    assert corners[:, 0] == pytest.approx(at[0])
    assert (corners[:, 1].min(), corners[:, 1].max()) == pytest.approx(box.y)
    assert (corners[:, 2].min(), corners[:, 2].max()) == pytest.approx(box.x)
    ct = desk.viewer.layers["CT"]
    assert layer.scale == pytest.approx(ct.scale)
    assert layer.translate == pytest.approx(ct.translate)
    assert [str(u) for u in layer.units] == [str(u) for u in ct.units]
    assert list(layer.features["rank"])[desk.widget.montage.boxes.shown.index(0)] == 1


def test_boxes_are_those_of_the_slice_that_is_shown(desk: Desk, encoded: Any) -> None:
    montage = _find(desk)
    boxes, frame = desk.widget.montage.boxes, desk.bench.scene.frame
    for z in (2, 15, 20, 33):
        desk.viewer.dims.set_point(0, frame.index_to_display((z, 0, 0))[0])
        expected = {
            number
            for number, patch in enumerate(montage.patches)
            if abs(patch.box(montage.geometry).z - z) <= patch.thickness_mm / 2 / 2.0
        }
        assert set(boxes.shown) == expected
        layer = desk.viewer.layers["Patches"]
        assert len(layer.data) == len(expected)
        assert all((corner[:, 0] == z).all() for corner in layer.data)
    desk.viewer.dims.order = (1, 0, 2)
    assert boxes.shown == ()


def test_number_and_grid_change_without_encoding_again(desk: Desk, encoded: Any) -> None:
    first = _find(desk)
    batches = len(encoded)
    tab = desk.widget.montage
    tab.count.setValue(3)
    tab.columns.setValue(2)
    montage = tab.gallery.montage
    assert montage.grid == (2, 2)
    assert montage.patches == first.patches[:3]
    tab.order.setCurrentText("z")
    slices = [p.voxel(montage.geometry)[0] for p in tab.gallery.montage.patches]
    assert slices == sorted(slices)
    assert len(encoded) == batches


def test_other_prompts_rank_the_same_patches_again(desk: Desk, encoded: Any) -> None:
    bright = _find(desk)
    batches = len(encoded)
    tab = desk.widget.montage
    tab.targets.setText("dark air")
    tab.controls.setText("bright spot")
    tab.targets.returnPressed.emit()
    desk.wait()
    assert tab.gallery.montage.patches[0] != bright.patches[0]
    assert tab.gallery.montage.hounsfield.max() < 300  # the ball is not in any tile
    assert len(encoded) == batches


def test_gallery_shows_the_window_of_the_scan(desk: Desk, encoded: Any) -> None:
    _find(desk)
    gallery = desk.widget.montage.gallery
    montage = gallery.montage
    n = montage.tile_pixels

    def place(tile: int) -> tuple[float, float]:
        row, column = montage.pixel_of(BALL_CENTRE, tile)
        return row % n, column % n

    # rank and score stand on black in two corners
    tile = min(montage.tiles_with(BALL_CENTRE), key=lambda t: max(abs(x - n / 2) for x in place(t)))

    def gray() -> float:
        picture = gallery.grab().toImage()
        (row, column), rect = place(tile), gallery.tile_rect(tile)
        x = rect.left() + (column + 0.5) / n * rect.width()
        y = rect.top() + (row + 0.5) / n * rect.height()
        return picture.pixelColor(round(x), round(y)).red()

    desk.viewer.layers["CT"].contrast_limits = (-1000, 400)
    in_lung = gray()
    desk.viewer.layers["CT"].contrast_limits = (700, 2000)
    assert in_lung > 100 > gray()


def test_keys_step_through_the_tiles(desk: Desk, encoded: Any) -> None:
    _find(desk)
    gallery = desk.widget.montage.gallery
    gallery.choose(0)
    desk.qtbot.keyClick(gallery, Qt.Key.Key_Right)
    assert gallery.chosen == 1
    desk.qtbot.keyClick(gallery, Qt.Key.Key_Down)
    assert gallery.chosen == 5
    desk.qtbot.keyClick(gallery, Qt.Key.Key_Down)
    assert gallery.chosen == 5  # there is no tile below


def test_another_scan_takes_boxes_and_montage_away(desk: Desk, encoded: Any) -> None:
    _find(desk)
    desk.open(ball_study())
    assert desk.widget.montage.gallery.montage is None
    assert "Patches" not in desk.viewer.layers
    assert _find(desk).patches


@pytest.mark.parametrize(
    ("targets", "controls", "message"),
    [(" ; ", "dark air", "at least one target"), ("bright", "", "needs a control")],
)
def test_prompts_that_cannot_rank_are_one_line(
    desk: Desk, encoded: Any, targets: str, controls: str, message: str
) -> None:
    desk.widget.montage.targets.setText(targets)
    desk.widget.montage.controls.setText(controls)
    desk.widget.montage.search.click()
    desk.wait()
    assert message in desk.status
    assert not encoded
    desk.widget.montage.targets.setText("bright")
    desk.widget.montage.controls.setText("dark air")
    assert _find(desk).patches


def test_cancelled_encoding_shows_nothing_and_leaves_the_tab_usable(
    desk: Desk, encoded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = SliceModel.embed_patches

    def cancelling(self: Any, patches: Any) -> Any:
        desk.bench.jobs._stop.requested = True
        return original(self, patches)

    monkeypatch.setattr(SliceModel, "embed_patches", cancelling)
    desk.widget.montage.search.click()
    desk.wait()
    assert "cancelled" in desk.status
    assert desk.widget.montage.gallery.montage is None
    monkeypatch.setattr(SliceModel, "embed_patches", original)
    assert _find(desk).patches


def test_export_writes_the_montage(desk: Desk, encoded: Any, tmp_path: Path) -> None:
    _find(desk)
    from napari_ctclip.core.volume import WINDOWS

    desk.bench.montages.export(tmp_path / "out", window=WINDOWS["Lung"])
    desk.wait()
    rows = list(csv.DictReader((tmp_path / "out" / "patches.csv").open()))
    assert len(rows) == 6
    assert np.all(np.diff([float(row["score"]) for row in rows]) <= 0)


def test_classes_of_the_montage_follow_what_is_shown(desk: Desk, encoded: Any) -> None:
    _find(desk)
    classes = desk.widget.montage.classes
    assert not classes.table.isVisible()
    classes.tasks.setCurrentText("simulated_ild")
    classes.tasks.activated.emit(classes.tasks.currentIndex())
    desk.wait()
    classified = desk.bench.montages.montages.classified
    assert classified.montage is desk.widget.montage.gallery.montage
    assert classes.table.isVisible()
    assert classes.table.rowCount() == 6
    best = max(classified.classes, key=lambda one: one.probability)
    assert classes.table.item(0, 1).text() == best.label
    assert float(classes.table.item(0, 0).text()) == pytest.approx(best.probability, abs=0.006)
    desk.widget.montage.count.setValue(2)  # another montage: asked again
    desk.wait()
    later = desk.bench.montages.montages.classified
    assert later.montage is desk.widget.montage.gallery.montage is not classified.montage
    classes.tasks.setCurrentIndex(0)
    classes.tasks.activated.emit(0)
    assert not classes.table.isVisible()


def test_the_open_model_finds_patches_by_its_places(open_desk: Desk) -> None:
    tab = open_desk.widget.montage
    open_desk.ask("bright spot")
    assert [tab.finder.itemText(row) for row in range(tab.finder.count())] == ["tiny", "starter-2d"]
    passes = len(open_desk.model.encoded_on)
    tab.side.setValue(24)
    tab.targets.setText("bright spot")
    tab.controls.setText("dark air")
    montage = _find(open_desk)
    assert montage.patches[0].box(montage.geometry).contains(BALL_CENTRE, slices=4)
    assert len(open_desk.model.encoded_on) == passes
    assert "by tiny" in open_desk.status

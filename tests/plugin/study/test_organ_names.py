"""What the model calls the organs: in the table, under the cursor, at a click and at a place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.roi import Roi
from napari_ctclip.models.factory import load_model
from napari_ctclip.plugin.study.organs import NAMED_COLUMN
from napari_ctclip.session.session import Session
from tests.phantom import BALL_CENTRE, ball_study
from tests.plugin.conftest import Desk
from tests.pretraining.tiny_run import ANATOMIES, trained_folder

pytestmark = pytest.mark.gui


def _masks() -> OrganMasks:
    """Return halves of which only one can be what a model that sees no difference calls both."""
    masks = ball_study().organ_masks
    return OrganMasks(masks.labels, {"lung_right": 1, "heart": 2}, masks.geometry)


def _expected(session: Session, organ: str) -> str:
    """Return what the model calls an organ, from its own parts."""
    model, scan = session.model, session.encoding.scan
    masks = session.study.organ_masks
    size = scan.input_geometry.shape
    place = scan.input_geometry.index_to_world(np.indices(size).reshape(3, -1).T)
    at = np.rint(masks.geometry.world_to_index(place)).astype(int)
    inside = ((at >= 0) & (at < masks.labels.shape)).all(axis=1)
    member = np.zeros(len(at), dtype=bool)
    member[inside] = masks.labels[tuple(at[inside].T)] == masks.legend[organ]
    mask = torch.from_numpy(member.reshape(1, 1, *size))
    vector = model.embed_regions(scan.features, mask).vectors[0, 0]
    texts = model.embed_text([f"This is the {name}." for name in ANATOMIES])
    return ANATOMIES[int((texts @ vector).argmax())]


def test_the_organ_names_of_a_ct_glip_folder_show_in_the_window(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_model(trained_folder("ct_glip", tmp_path))
    monkeypatch.setattr(Session, "compute_model", lambda self, name="starter": loaded)
    data, session = desk.widget.data, desk.bench.session
    desk.open(ball_study().with_masks(_masks()))
    assert data.table.isColumnHidden(NAMED_COLUMN)
    desk.ask("nodule")
    assert not data.table.isColumnHidden(NAMED_COLUMN)
    called = {organ: _expected(session, organ) for organ in ("lung_right", "heart")}
    marks = {}
    for row, organ in enumerate(called):
        cell = data.organs.index(row, NAMED_COLUMN)
        marks[organ] = cell.data().startswith("≠")
        assert anatomy_label(called[organ]) in cell.data()
        assert "similar" in cell.data(role=3).lower()  # the tooltip
    assert marks == {
        "lung_right": called["lung_right"] != "lung",
        "heart": called["heart"] != "heart",
    }
    right = sum(not wrong for wrong in marks.values())
    assert f"{right} of 2 organs" in data.named.text()
    features = desk.viewer.layers["Organs"].features
    told = dict(zip(features["name"], features["the model calls it"], strict=True))
    assert told["heart"].startswith(called["heart"])
    desk.bench.probe.at(BALL_CENTRE)  # in the half that is called heart
    assert (
        f"The model calls this organ: {called['heart']} " in desk.widget.explore.probe.text.text()
    )
    desk.bench.roi.take(Roi.sphere(BALL_CENTRE, 6.0))
    desk.wait()
    assert "the model calls it " in desk.widget.roi.text.text()
    session.set_masks(None)
    assert data.table.isColumnHidden(NAMED_COLUMN)
    assert not data.name_organs.isEnabled()


def test_a_model_without_organ_names_is_asked_on_request(open_desk: Desk) -> None:
    data = open_desk.widget.data
    assert not data.name_organs.isEnabled()
    open_desk.ask("bright spot")
    assert data.table.isColumnHidden(NAMED_COLUMN)
    open_desk.bench.session.set_masks(open_desk.bench.session.prepare_masks(_masks()))
    data.name_organs.click()
    open_desk.wait()
    assert not data.table.isColumnHidden(NAMED_COLUMN)
    assert "of 2 organs" in data.named.text()
    open_desk.open()
    assert data.table.isColumnHidden(NAMED_COLUMN)

"""Sessions bring back planes and cameras, and take the scan that is open already."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from napari_ctclip.plugin.canvas.views import View
from tests.plugin.conftest import Desk

pytestmark = pytest.mark.gui


def _cameras(desk: Desk) -> list[tuple[float, ...]]:
    models = desk.bench.views.shown_models()
    cameras = [model.scene.camera for model in models]
    return [(*camera.center, camera.zoom) for camera in cameras]


def _turned(desk: Desk, view: View) -> None:
    desk.bench.views.show(view)
    desk.qtbot.wait(150)


def _reopened(desk: Desk, path: Path) -> None:
    desk.bench.sessions.open(path)
    desk.wait()
    desk.qtbot.wait(150)


def _save(desk: Desk, path: Path) -> Path:
    desk.bench.sessions.save(path)
    desk.wait()
    return path


def test_a_session_reopened_beside_its_scan_brings_the_view_back_and_loses_nothing(
    make_desk: Callable[..., Desk], tmp_path: Path
) -> None:
    desk = make_desk(show=True)
    desk.viewer.window.resize(1280, 720)
    desk.open()
    desk.ask("bright spot")
    desk.widget.findings.region.click()
    desk.wait()
    _turned(desk, View.PLANES)
    desk.bench.scene.turn_to((12, 20, 30))
    for number, model in enumerate(desk.bench.views.shown_models()):
        camera: Any = model.scene.camera
        camera.zoom *= 2.0 + number
        camera.center = (camera.center[0], camera.center[1] + 5.0, camera.center[2] - 4.0)
    planes = _cameras(desk)
    assert len(planes) == 3
    path = _save(desk, tmp_path / "planes.ctclip.zip")

    _turned(desk, View.VOLUME)
    camera = desk.viewer.scene.camera
    camera.angles, camera.zoom = (20.0, -30.0, 75.0), 1.7 * camera.zoom
    angles, volume = camera.angles, _cameras(desk)
    in_3d = _save(desk, tmp_path / "volume.ctclip.zip")

    _turned(desk, View.PLANE)
    desk.ask("dark hole")
    desk.bench.findings.add_point((3, 4, 5))
    desk.wait()
    masks = desk.bench.session.study.organ_masks
    ct = desk.bench.scene.ct
    _reopened(desk, path)
    assert [layer.name for layer in desk.viewer.layers if layer.name.startswith("CT")] == ["CT"]
    assert desk.bench.scene.ct is ct
    assert desk.bench.views.view is View.PLANES
    assert desk.viewer.dims.current_step == (12, 20, 30)
    for found, saved in zip(_cameras(desk), planes, strict=True):
        assert found == pytest.approx(saved, rel=0.02, abs=0.1)
    shown = {row.prompt.positive: row.shown for row in desk.bench.prompts.state.rows}
    assert shown == {"bright spot": True, "dark hole": False}
    assert desk.bench.session.study.organ_masks is masks
    assert len(desk.bench.findings.kept.findings) == 1
    assert "Undo brings back the 2" in desk.status
    desk.bench.findings.kept.undo()
    assert len(desk.bench.findings.kept.findings) == 2

    _reopened(desk, in_3d)
    assert desk.bench.views.view is View.VOLUME
    assert desk.viewer.scene.camera.angles == pytest.approx(angles, abs=0.1)
    assert _cameras(desk)[0] == pytest.approx(volume[0], rel=0.02, abs=0.1)

"""Follow-up: a prior scan beside the current one, asked the same, moving with it, and let go."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume
from napari_ctclip.io.export.exports import write_organ_masks
from napari_ctclip.plugin.canvas._compat import camera_of
from napari_ctclip.plugin.follow_up.linked_views import LinkedViews
from napari_ctclip.plugin.shell.docks import FollowUpWidget
from tests.phantom import BALL_CENTRE, ball_study

CHANGE = 4


def current_study() -> Study:
    """Return the phantom with lungs that end inside the scan."""
    study = ball_study(with_masks=False)
    labels = np.zeros(study.volume.voxels.shape, dtype=np.uint8)
    labels[6:34, 6:42, 8:31], labels[6:34, 6:42, 33:56] = 1, 2
    legend = {"lung_right": 1, "lung_left": 2}
    return Study(study.volume, OrganMasks(labels, legend, study.volume.geometry))


def prior_study(*, shift_mm: float = 100.0, first: int = 0) -> Study:
    """Return the phantom before its ball, elsewhere on the table, without its first slices."""
    study = current_study()
    assert study.organ_masks is not None
    voxels = np.where(study.volume.voxels == 700, -900, study.volume.voxels)[first:]
    affine = np.array(study.volume.geometry.affine)
    affine[:3, 3] = study.volume.geometry.index_to_world((first, 0, 0)) + shift_mm
    geometry = Geometry(voxels.shape, affine)
    masks = OrganMasks(study.organ_masks.labels[first:], study.organ_masks.legend, geometry)
    return Study(Volume(voxels.astype(np.int16), geometry), masks)


@pytest.fixture
def dock(desk):
    desk.open(current_study())
    dock = FollowUpWidget(desk.viewer)
    desk.viewer.window.add_dock_widget(dock, name="CT-CLIP follow-up")
    return dock


@pytest.fixture
def both(dock, desk) -> FollowUpWidget:
    dock.flow.studies.open_study(prior_study())
    desk.wait()
    return dock


def cell(dock: FollowUpWidget, row: int, column: int) -> str:
    return str(dock.sorted.index(row, column).data())


def test_both_scans_are_asked_by_one_model_and_their_change_is_listed(both, desk):
    desk.ask("bright ball")
    assert both.flow.session.model is desk.bench.session.model
    rows = {(c.prompt, c.anatomy): c for c in both.changes.rows}
    assert rows["bright ball", "lung_left"].difference > 0.1
    assert abs(rows["bright ball", "lung_right"].difference) < 1e-6
    both.table.sortByColumn(
        CHANGE, both.table.horizontalHeader().sortIndicatorOrder().DescendingOrder
    )
    assert "left lung" in cell(both, 0, 1)
    assert cell(both, 0, CHANGE).startswith("▲ +")


def test_a_prior_opened_after_the_prompts_is_asked_them_too(dock, desk):
    desk.ask("bright ball")
    desk.ask("dark hole")
    dock.flow.studies.open_study(prior_study())
    desk.wait()
    assert {c.prompt for c in dock.changes.rows} == {"bright ball", "dark hole"}
    desk.bench.prompts.remove("dark hole")
    assert {c.prompt for c in dock.changes.rows} == {"bright ball"}


def test_heat_is_drawn_on_the_prior_in_the_same_colour_and_range(both, desk):
    desk.ask("bright ball")
    here, there = desk.heat("bright ball"), both.pane.viewer.layers["Heatmap: bright ball"]
    assert there.visible
    assert here.colormap.name == there.colormap.name
    desk.bench.prompts.state.choose_range(0.1, 0.2)
    assert tuple(there.contrast_limits) == (0.1, 0.2)
    here.visible = False
    assert not there.visible


def test_a_step_or_a_click_in_one_scan_moves_the_other(both, desk):
    here, there = desk.bench.scene, both.flow.scene
    assert both.state.text().startswith("Linked by: right lung, left lung")
    desk.bench.scene.go_to(BALL_CENTRE)
    assert there.index_at(there.viewer.dims.point) == BALL_CENTRE
    place = there.frame.index_to_display((11, 30, 44))
    there.viewer.dims.set_point(0, place[0])
    assert here.index_at(here.viewer.dims.point)[0] == 11
    both.flow.views.look_at_prior((9, 20, 30))
    desk.wait()
    assert here.index_at(here.viewer.dims.point) == (9, 20, 30)
    np.testing.assert_array_equal(here.viewer.layers["Probe"].data[0], (9, 20, 30))
    both.linked.setChecked(False)
    desk.bench.scene.go_to(BALL_CENTRE)
    assert there.index_at(there.viewer.dims.point) == (9, 20, 30)


def test_zoom_plane_and_window_are_shared(both, desk):
    here, there = desk.viewer, both.pane.viewer
    camera_of(here).zoom = 3.0
    assert camera_of(there).zoom == 3.0
    here.dims.order = (1, 0, 2)
    assert tuple(there.dims.order) == (1, 0, 2)
    both.flow.scene.ct.contrast_limits = (-100, 300)
    assert tuple(desk.bench.scene.ct.contrast_limits) == (-100, 300)


def test_a_place_beyond_the_prior_is_told(dock, desk):
    dock.flow.studies.open_study(prior_study(first=12))
    desk.wait()
    desk.bench.scene.go_to((30, 30, 44))
    assert "beyond" not in dock.state.text()
    desk.bench.scene.go_to((3, 30, 44))
    assert "beyond the prior" in dock.state.text()


def test_a_prior_without_masks_says_what_links_it_and_masks_are_read_from_a_file(
    dock, desk, tmp_path
):
    study = prior_study()
    assert study.organ_masks is not None
    dock.flow.studies.open_study(Study(study.volume))
    desk.wait()
    assert "both scans need organ masks" in dock.state.text()
    write_organ_masks(study.organ_masks, study.volume, tmp_path / "masks.nii.gz")
    dock.flow.studies.load_masks(tmp_path / "masks.nii.gz")
    desk.wait()
    assert dock.state.text().startswith("Linked by")


def test_a_prior_that_cannot_be_read_is_one_line(dock, desk, tmp_path):
    dock.open_prior(tmp_path / "nothing.nii.gz")
    desk.wait()
    assert "nothing.nii.gz" in desk.status
    assert "Traceback" not in desk.status


def test_the_table_is_exported_and_an_empty_one_refused(both, desk, tmp_path):
    desk.bench.guarded(lambda: both.write_table(tmp_path / "a.csv"))
    assert "Nothing to export" in desk.status
    desk.ask("bright ball")
    both.write_table(tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == len(both.changes.rows) > 0


def test_closing_the_dock_gives_the_room_back_and_leaves_the_current_scan(both, desk):
    desk.ask("bright ball")
    assert isinstance(both.flow.views, LinkedViews)
    both.release()
    assert both.flow.session.study is None
    desk.bench.scene.go_to(BALL_CENTRE)
    desk.ask("dark hole")
    assert desk.heat("dark hole").visible
    assert "error" not in desk.status.lower()

"""The same place in two scans of one patient, however the scans lie, are cut and are sampled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.volume import Volume
from napari_ctclip.io import read_volume
from napari_ctclip.regions.correspondence import correspond, organ_boxes
from napari_ctclip.segmentation.quick_masks import quick_organ_masks
from napari_ctclip.simulation.study_simulation import simulate_study

SEED = 9


def masks_of(spacing_mm: tuple[float, float, float], findings: tuple[str, ...] = ()) -> OrganMasks:
    masks = simulate_study(SEED, spacing_mm=spacing_mm, findings=findings).study.organ_masks
    assert masks is not None
    return masks


def moved(masks: OrganMasks, shift_mm: tuple[float, float, float], scale: float) -> OrganMasks:
    """Return the masks of the same body elsewhere on the table, grown by a scale."""
    affine = np.array(masks.geometry.affine)
    affine[:3] *= scale
    affine[:3, 3] += shift_mm
    return replace(masks, geometry=Geometry(masks.geometry.shape, affine))


def cropped(masks: OrganMasks, start: tuple[int, ...], stop: tuple[int, ...]) -> OrganMasks:
    box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    return OrganMasks(masks.labels[box], masks.legend, masks.geometry.cropped(start, stop))


def places_in_lungs(masks: OrganMasks, count: int = 200) -> np.ndarray:
    found = np.argwhere(masks.mask("lung"))
    return found[np.random.default_rng(0).choice(len(found), count, replace=False)]


@pytest.fixture(scope="module")
def fine() -> OrganMasks:
    return masks_of((4.0, 3.0, 3.0))


def test_a_body_with_a_lesion_shifted_and_rescaled_is_found_again(fine):
    later = moved(
        masks_of((5.0, 4.0, 4.0), ("lung mass", "pericardial effusion")), (30, -50, 400), 1.1
    )
    places = places_in_lungs(fine)
    link = correspond(fine, later)
    found = later.geometry.index_to_world(link.index_in_target(places))
    true = fine.geometry.index_to_world(places) * 1.1 + (30, -50, 400)
    distance = np.linalg.norm(found - true, axis=1)
    assert np.median(distance) < 4.0
    assert distance.max() < 10.0
    assert link.notices[0].code == "linked-by-organs"


def test_there_and_back_is_the_same_place(fine):
    later = moved(masks_of((5.0, 4.0, 4.0)), (0, 0, 100), 0.95)
    link = correspond(fine, later)
    places = places_in_lungs(fine)
    back = link.reversed().index_in_target(link.index_in_target(places))
    assert np.abs((back - places) * fine.geometry.spacing_mm).max() < 3.0


def test_a_scan_that_ends_inside_the_lungs_is_linked_by_what_it_shows_whole(fine):
    _, y, x = fine.geometry.shape
    top, bottom = (np.flatnonzero(fine.mask("lung").any(axis=(1, 2)))[i] for i in (0, -1))
    short = cropped(fine, (0, 0, 0), (int(bottom - (bottom - top) // 3), y, x))
    boxes = organ_boxes(short, ("lung_left",))
    assert boxes["lung_left"].cut_high.tolist() == [True, False, False]
    places = places_in_lungs(short)
    found = correspond(short, fine).index_in_target(places)
    assert np.abs((found - places) * fine.geometry.spacing_mm).max() < 6.0


def test_a_step_of_the_slice_never_makes_the_other_scan_jump(fine):
    later = moved(masks_of((5.0, 4.0, 4.0)), (10, 0, 0), 1.05)
    z, y, x = fine.geometry.shape
    line = np.stack([np.arange(z), np.full(z, y // 2), np.full(z, x // 3)], axis=1)
    heights = correspond(fine, later).index_in_target(line)[:, 0] * later.geometry.spacing_mm[0]
    steps = np.diff(heights)
    assert (steps > 0).all()
    assert steps.max() < 3 * fine.geometry.spacing_mm[0]


def test_scans_without_an_organ_in_common_are_linked_by_their_centres(fine):
    none = OrganMasks(np.zeros((10, 20, 20), np.uint8), {"liver": 1},
                      Geometry.from_spacing((10, 20, 20), (4, 4, 4)))  # fmt: skip
    link = correspond(fine, none)
    centre = (np.asarray(fine.geometry.shape) - 1) / 2
    np.testing.assert_allclose(link.index_in_target(centre), (4.5, 9.5, 9.5))
    assert link.notices[0].code == "not-linked-by-organs"


def test_the_nodule_of_a_real_scan_is_found_in_the_same_scan_moved_and_cut(shared_data: Path):
    scan = read_volume(shared_data / "lidc_idri_0001" / "ct.nii.gz").volume
    nodule = nibabel.load(shared_data / "lidc_idri_0001" / "nodule.nii.gz")
    found = np.argwhere(np.asarray(nodule.dataobj) > 0).mean(axis=0)
    centre = nodule.affine[:3, :3] @ found + nodule.affine[:3, 3]
    scan = _every_second(scan)
    start, stop = (4, 20, 12), (scan.geometry.shape[0] - 2, 250, 240)
    box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    affine = scan.geometry.cropped(start, stop).affine + np.array([[0, 0, 0, 35.0]] * 3 + [[0] * 4])
    voxels = np.ascontiguousarray(scan.voxels[box])
    other = Volume(voxels, Geometry(voxels.shape, affine))
    link = correspond(quick_organ_masks(scan), quick_organ_masks(other))
    found = other.geometry.index_to_world(
        link.index_in_target(scan.geometry.world_to_index(centre))
    )
    assert np.linalg.norm(found - (centre + 35.0)) < 6.0


def _every_second(scan: Volume) -> Volume:
    """Return the scan with every second row and column: as sharp as quick masks need."""
    affine = np.array(scan.geometry.affine)
    affine[:, 1:3] *= 2
    voxels = np.ascontiguousarray(scan.voxels[:, ::2, ::2])
    return Volume(voxels, Geometry(voxels.shape, affine))


def test_scans_of_one_slice_and_empty_masks_are_linked_by_their_centres():
    geometry = Geometry.from_spacing((1, 60, 80), (5.0, 2.0, 2.0))
    labels = np.zeros(geometry.shape, dtype=np.uint8)
    empty = OrganMasks(labels, {"lung_left": 1, "lung_right": 2}, geometry)
    link = correspond(empty, empty)
    assert [notice.code for notice in link.notices] == ["not-linked-by-organs"]
    np.testing.assert_allclose(link.index_in_target((0, 30, 40)), (0, 30, 40))
    filled = labels.copy()
    filled[0, 10:40, 10:60] = 1
    link = correspond(OrganMasks(filled, empty.legend, geometry), empty)
    assert (link.boxes, link.in_one_alone) == ({}, ("lung_left",))
    moved = OrganMasks(np.roll(filled, 5, axis=1), empty.legend, geometry)
    link = correspond(OrganMasks(filled, empty.legend, geometry), moved)
    np.testing.assert_allclose(link.index_in_target((0, 30, 40)), (0, 35, 40), atol=1e-6)
    assert "height" in link.notices[0].message

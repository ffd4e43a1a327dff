"""Quick organ masks: on a drawn chest, on simulated studies and on real scans."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from napari_ctclip.core.errors import Cancelled
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.volume import Volume
from napari_ctclip.io import read_volume
from napari_ctclip.segmentation.quick_masks import QUICK_LABELS, quick_organ_masks
from napari_ctclip.simulation import simulate_study

SPACING_MM = (3.0, 2.0, 2.0)
SHAPE = (80, 130, 190)


def dice(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> float:
    return float(2 * (first & second).sum() / max(1, first.sum() + second.sum()))


def lung(masks: OrganMasks) -> npt.NDArray[np.bool_]:
    return masks.mask("lung")


def ellipsoid(centre_mm: tuple[float, ...], radii_mm: tuple[float, ...]) -> npt.NDArray[np.bool_]:
    """Voxels (D, H, W) of an ellipsoid about a point relative to the middle of the scan, mm."""
    axes = np.ogrid[tuple(slice(0, n) for n in SHAPE)]
    return (
        sum(
            (((i - n / 2 + 0.5) * s - c) / r) ** 2
            for i, n, s, c, r in zip(axes, SHAPE, SPACING_MM, centre_mm, radii_mm, strict=True)
        )
        <= 1.0
    )


def drawn_chest() -> tuple[npt.NDArray[np.int16], dict[str, npt.NDArray[np.bool_]]]:
    """A torso with two lungs, a trachea and a spine; the left lung is the smaller one."""
    hu = np.full(SHAPE, -1000, dtype=np.int16)
    parts = {
        "torso": ellipsoid((0, 0, 0), (400, 110, 170)),
        "lung_right": ellipsoid((0, 0, -70), (90, 75, 58)),
        "lung_left": ellipsoid((0, 0, 72), (84, 70, 50)),
        "trachea": ellipsoid((-75, 0, 0), (60, 8, 8)),
        "spine": ellipsoid((0, 60, 0), (500, 18, 18)),
    }
    for part, value in zip(parts.values(), (40, -850, -850, -1000, 350), strict=True):
        hu[part] = value
    return hu, parts


def volume_of(hu: npt.NDArray[np.int16]) -> Volume:
    return Volume(hu, Geometry.from_spacing(hu.shape, SPACING_MM))


def test_each_lung_is_found_on_its_side_of_the_patient() -> None:
    hu, parts = drawn_chest()
    masks = quick_organ_masks(volume_of(hu))
    assert dice(masks.mask("lung_right"), parts["lung_right"]) > 0.97
    assert dice(masks.mask("lung_left"), parts["lung_left"]) > 0.97


def test_masks_lie_on_the_volume_with_the_agreed_names() -> None:
    hu, _ = drawn_chest()
    volume = volume_of(hu)
    masks = quick_organ_masks(volume)
    assert masks.geometry is volume.geometry
    assert masks.source == "quick"
    assert set(masks) == set(QUICK_LABELS)
    assert masks.labels.dtype == np.uint8


def test_trachea_is_airway_and_not_lung() -> None:
    hu, parts = drawn_chest()
    masks = quick_organ_masks(volume_of(hu))
    free = parts["trachea"] & ~parts["lung_right"] & ~parts["lung_left"]
    assert masks.mask("trachea_and_airways")[free].mean() > 0.8
    assert lung(masks)[free].mean() < 0.05


def test_nodule_at_the_pleura_stays_in_the_lung() -> None:
    hu, _ = drawn_chest()
    nodule = ellipsoid((0, 0, -122), (8, 8, 8))
    hu[nodule] = 40
    inside = nodule & ellipsoid((0, 0, -70), (90, 75, 58))
    # all but the layer of voxels that the drawn pleura cuts: 0.88 measured
    assert quick_organ_masks(volume_of(hu)).mask("lung_right")[inside].mean() > 0.85


def test_mass_on_the_mediastinum_with_lung_around_it_stays_in_the_lung() -> None:
    hu, parts = drawn_chest()
    mass = ellipsoid((0, 0, -30), (26, 26, 26))
    hu[mass] = 40
    inside = mass & parts["lung_right"]
    assert quick_organ_masks(volume_of(hu)).mask("lung_right")[inside].mean() > 0.8


def test_lungs_that_touch_in_front_are_parted() -> None:
    hu, parts = drawn_chest()
    bridge = ellipsoid((10, -40, 0), (30, 6, 40))
    hu[bridge] = -850
    masks = quick_organ_masks(volume_of(hu))
    assert masks.mask("lung_right")[parts["lung_right"]].mean() > 0.98
    assert masks.mask("lung_left")[parts["lung_left"]].mean() > 0.98


def test_one_lung_alone_keeps_its_side() -> None:
    hu, parts = drawn_chest()
    hu[parts["lung_right"]] = 40
    masks = quick_organ_masks(volume_of(hu))
    assert not masks.mask("lung_right").any()
    assert masks.mask("lung_left")[parts["lung_left"]].mean() > 0.97


def test_pneumothorax_belongs_to_the_lung() -> None:
    hu, parts = drawn_chest()
    free_air = parts["lung_left"] & ellipsoid((0, -50, 72), (200, 40, 200))
    hu[free_air] = -1000
    assert quick_organ_masks(volume_of(hu)).mask("lung_left")[free_air].mean() > 0.95


def test_lung_cut_by_a_narrow_field_of_view_is_found() -> None:
    hu, parts = drawn_chest()
    view = (slice(None), slice(None), slice(35, 155))
    masks = quick_organ_masks(volume_of(np.ascontiguousarray(hu[view])))
    assert dice(masks.mask("lung_right"), parts["lung_right"][view]) > 0.95


def test_table_and_mattress_are_not_body() -> None:
    hu, parts = drawn_chest()
    hu[:, 122:124] = -200  # sheet of the table
    hu[:, 124:128] = -930  # foam in it
    hu[:, 128:130] = -200
    masks = quick_organ_masks(volume_of(hu))
    assert not (masks.mask("body") & ~parts["torso"])[:, 123:].any()


@pytest.mark.parametrize("value", [-1000, 40, -2048])
def test_scan_without_organs_gives_empty_masks(value: int) -> None:
    masks = quick_organ_masks(volume_of(np.full((6, 20, 30), value, dtype=np.int16)))
    assert not lung(masks).any()
    assert not masks.mask("bone").any()


def test_single_slice_is_no_error() -> None:
    hu, parts = drawn_chest()
    masks = quick_organ_masks(volume_of(np.ascontiguousarray(hu[40:41])))
    assert dice(lung(masks), (parts["lung_right"] | parts["lung_left"])[40:41]) > 0.9


def test_progress_reaches_its_end_and_stopping_cancels() -> None:
    hu, _ = drawn_chest()
    steps: list[tuple[int, int]] = []
    quick_organ_masks(volume_of(hu), progress=lambda done, total: steps.append((done, total)))
    assert [done for done, _ in steps] == list(range(steps[-1][1] + 1))
    with pytest.raises(Cancelled):
        quick_organ_masks(volume_of(hu), should_stop=lambda: True)


def test_simulated_lesions_lie_in_the_lung_mask() -> None:
    findings = ("lung nodule", "ground-glass opacity", "pneumothorax")
    simulated = simulate_study(4, findings=findings, spacing_mm=(5.0, 2.0, 2.0))
    truth = simulated.study.organ_masks
    assert truth is not None
    masks = quick_organ_masks(simulated.study.volume)
    assert dice(lung(masks), truth.mask("lung")) > 0.9
    assert lung(masks)[simulated.finding_bits > 0].mean() > 0.9


def test_real_lungs_match_a_reference_mask(shared_data: Path) -> None:
    volume = read_volume(shared_data / "cip" / "ct-64.nrrd").volume
    reference = _mask(shared_data / "cip" / "wholeLung-64.nrrd")
    assert dice(lung(quick_organ_masks(volume)), reference) > 0.95


def test_real_nodule_lies_in_the_left_lung_mask(shared_data: Path) -> None:
    folder = shared_data / "lidc_idri_0001"
    masks = quick_organ_masks(read_volume(folder / "ct.nii.gz").volume)
    assert masks.mask("lung_left")[_mask(folder / "nodule.nii.gz")].mean() >= 0.95
    assert 1000 < masks.volumes_ml()["lung_right"] < 2500


def test_most_of_a_real_hilar_tumour_lies_in_the_lung_mask(shared_data: Path) -> None:
    folder = shared_data / "lung_pet_ct_dx_a0002"
    volume = read_volume(folder / "dicom").volume
    boxes = json.loads((folder / "tumour_boxes.json").read_text())
    inside = np.zeros(volume.voxels.shape, dtype=bool)
    for box in boxes:
        z = round(float(volume.geometry.world_to_index((0.0, 0.0, box["z_mm"]))[0]))
        inside[z, box["ymin"] : box["ymax"] + 1, box["xmin"] : box["xmax"] + 1] = True
    dense = inside & (volume.voxels > -300)
    assert quick_organ_masks(volume).mask("lung_right")[dense].mean() > 0.6


def test_bowel_gas_is_no_lung_and_lung_bases_are(shared_data: Path) -> None:
    folder = shared_data / "totalsegmentator"
    masks = quick_organ_masks(read_volume(folder / "abdomen_ct.nii.gz").volume)
    organs = _labels(folder / "abdomen_organs.nii.gz")
    assert dice(lung(masks), (organs >= 10) & (organs <= 14)) > 0.93
    assert not lung(masks)[np.isin(organs, (6, 18, 19, 20))].any()  # stomach, bowel
    assert not masks.mask("trachea_and_airways").any()
    bone = np.isin(organs, [*range(25, 51), *range(69, 79), *range(91, 117)])
    assert dice(masks.mask("bone"), bone) > 0.75


def _labels(path: Path) -> npt.NDArray[np.int16]:
    """Labels of a NIfTI or NRRD file in the axes of a volume."""
    import SimpleITK as sitk  # noqa: N813

    image = sitk.ReadImage(str(path))
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    affine = np.diag((-1.0, -1.0, 1.0, 1.0)) @ affine
    labels = sitk.GetArrayFromImage(image).astype(np.int16).transpose(2, 1, 0)
    return Volume.from_stored(labels, Geometry(labels.shape, affine)).voxels


def _mask(path: Path) -> npt.NDArray[np.bool_]:
    return _labels(path) > 0

"""An organ that the scan ends in is told; vessels and bones, which all scans cut, are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_ctclip.audit.preprocessing_audit import audit
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.encoding.work import Work
from napari_ctclip.io import read_volume
from napari_ctclip.regions.token_grid import TokenRegions, token_regions
from napari_ctclip.scoring.encoded_study import answer_prompt, encode_study
from napari_ctclip.scoring.readout import cut_notices, cut_organs
from napari_ctclip.segmentation.quick_masks import quick_organ_masks
from napari_ctclip.testing import TinyModel
from tests.phantom import ball_study

SHAPE = (12, 10, 10)
_TOKEN = (2, 8, 8)
INSIDE = np.ones(SHAPE, dtype=bool)


def organ(widths: dict[int, int]) -> np.ndarray:
    """Return the tokens of an organ that is so many tokens wide in these slices."""
    mask = np.zeros(SHAPE, dtype=bool)
    for z, width in widths.items():
        mask[z, 4, 4 - width // 2 : 4 - width // 2 + width] = True
    return np.flatnonzero(mask)


@pytest.mark.parametrize(
    ("widths", "cut"),
    [
        ({3: 2, 4: 4, 5: 2}, False),  # within
        ({0: 2, 1: 4, 2: 4}, False),  # its tip lies outside
        ({0: 4, 1: 4, 2: 2}, True),
        ({9: 1, 10: 3, 11: 4}, True),
    ],
)
def test_an_organ_is_cut_where_it_is_widest_at_an_end(widths: dict[int, int], cut: bool) -> None:
    tokens = organ(widths)
    regions = TokenRegions({"lung": tokens, "thoracic_cavity": tokens, "aorta": tokens})
    assert cut_organs(regions, INSIDE) == (("lung", "thoracic_cavity") if cut else ())
    assert bool(cut_notices("lung", regions, INSIDE)) == cut
    assert cut_notices("aorta", regions, INSIDE) == ()
    assert cut_notices("lung", None, INSIDE) == ()


def test_ends_are_those_of_the_field_of_view() -> None:
    regions = TokenRegions({"liver": organ({3: 4, 4: 4, 5: 2})})
    assert cut_organs(regions, INSIDE) == ()
    inside = INSIDE.copy()
    inside[:3] = False
    assert cut_organs(regions, inside) == ("liver",)
    assert cut_organs(regions, np.zeros_like(inside)) == ()


def test_answers_about_a_cut_organ_say_so_and_so_does_the_audit(tmp_path: Path) -> None:
    model, study = TinyModel(), ball_study()
    assert study.organ_masks is not None
    labels = np.zeros_like(study.organ_masks.labels)
    labels[:12, 10:40, 10:50] = 1
    masks = OrganMasks(labels, {"lung_left": 1}, study.volume.geometry)
    cut = replace(study, organ_masks=masks)
    encoded = encode_study(model, cut, work=Work(FeatureCache(tmp_path)))
    (notice,) = answer_prompt(model, encoded, Prompt("nodule in the left lung")).notices
    assert notice.code == "organ-cut-by-scan"
    assert "ends where the lung is widest" in notice.message
    assert answer_prompt(model, encoded, Prompt("bright spot")).notices == ()
    assert "lung_left" in audit(cut, model).cut_organs


def test_an_organ_of_one_slice_is_cut() -> None:
    regions = TokenRegions({"heart": np.arange(4)})
    assert cut_organs(regions, np.ones((1, 4, 4), dtype=bool)) == ("heart",)


@pytest.mark.parametrize(
    ("scan", "cut"),
    [
        ("totalsegmentator/abdomen_ct.nii.gz", {"lung", "lung_left", "lung_right"}),
        ("lung_pet_ct_dx_a0002/dicom", set()),
    ],
)
def test_real_scans_of_a_chest_show_it_and_those_of_an_abdomen_do_not(
    scan: str, cut: set[str], shared_data: Path
) -> None:
    volume = read_volume(shared_data / scan).volume
    regions = token_regions(quick_organ_masks(volume), volume.geometry, _TOKEN)
    inside = np.ones(volume.geometry.coarsened(_TOKEN).shape, dtype=bool)
    assert set(cut_organs(regions, inside)) - {"thoracic_cavity"} == cut

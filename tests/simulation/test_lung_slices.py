from __future__ import annotations

import numpy as np
import pytest

from napari_ctclip.simulation.lesion import finding_bit
from napari_ctclip.simulation.lung_slices import simulate_lung_slice

SIZE, PIXEL_MM = 112, 0.7


def _slices(finding: str, count: int = 12):
    return [
        simulate_lung_slice(
            np.random.default_rng(seed), size=SIZE, pixel_mm=PIXEL_MM, finding=finding
        )
        for seed in range(count)
    ]


def test_same_seed_gives_the_same_slice() -> None:
    first, second = (
        simulate_lung_slice(np.random.default_rng(3), size=SIZE, pixel_mm=PIXEL_MM)
        for _ in range(2)
    )
    assert np.array_equal(first.hounsfield, second.hounsfield)
    assert np.array_equal(first.finding_bits, second.finding_bits)


def test_normal_lung_shows_no_finding_and_is_aerated() -> None:
    for drawn in _slices(""):
        assert not drawn.finding_bits.any()
        lung = drawn.hounsfield[drawn.is_lung]
        assert -960 < np.median(lung) < -700


@pytest.mark.parametrize(
    ("finding", "low", "high"),
    [
        ("emphysema", -1024, -830),
        ("ground-glass opacity", -800, -380),
        ("consolidation", -300, 120),
        ("lung mass", -60, 160),
        ("pleural effusion", -30, 60),
        ("pneumothorax", -1024, -960),
    ],
)
def test_finding_has_its_ct_numbers_where_its_bit_is(finding: str, low: int, high: int) -> None:
    bit = np.uint16(1 << finding_bit(finding))
    medians = [
        np.median(drawn.hounsfield[drawn.finding_bits == bit])
        for drawn in _slices(finding)
        if (drawn.finding_bits == bit).sum() > 50
    ]
    assert len(medians) >= 6
    assert low <= np.median(medians) <= high
    for drawn in _slices(finding):
        assert not drawn.finding_bits[~drawn.is_lung].any()
        assert set(np.unique(drawn.finding_bits)) <= {0, int(bit)}


def test_emphysema_is_darker_than_the_lung_about_it() -> None:
    bit = np.uint16(1 << finding_bit("emphysema"))
    differences = []
    for drawn in _slices("emphysema", 30):
        sick = drawn.finding_bits == bit
        well = drawn.is_lung & ~sick
        if sick.sum() > 200 and well.sum() > 200:
            dark = [np.mean(drawn.hounsfield[part] < -950) for part in (sick, well)]
            differences.append(dark[0] - dark[1])
    assert len(differences) >= 8
    assert np.mean(differences) > 0.12

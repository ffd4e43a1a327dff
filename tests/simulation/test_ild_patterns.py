"""Simulated patterns of interstitial lung disease show what their names say."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from napari_ctclip.simulation.ild_patterns import pattern_report, simulate_pattern
from napari_ctclip.simulation.ild_reports import PATTERNS

SPACING_MM = (10.0, 2.0, 2.0)


@lru_cache(maxsize=8)
def _lung(pattern: str, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return HU and lung (both lungs, as the masks say) of a chest."""
    study = simulate_pattern(seed, pattern, spacing_mm=SPACING_MM)
    masks = study.organ_masks
    return study.volume.voxels, np.isin(masks.labels, masks.labels_of("lung"))


def _share(pattern: str, low: int, high: int) -> np.ndarray:
    """Return the part of each third of the lung, from the head down, within CT numbers."""
    voxels, lung = _lung(pattern)
    thirds = np.array_split(np.flatnonzero(lung.any(axis=(1, 2))), 3)
    return np.array([((voxels[t] >= low) & (voxels[t] < high))[lung[t]].mean() for t in thirds])


def test_usual_interstitial_pneumonia_is_dense_below_and_holds_cysts() -> None:
    dense, normal = (_share(name, -700, 100) for name in ("Usual interstitial pneumonia", "Normal"))
    assert dense[2] > normal[2] + 0.2
    assert dense[2] - dense[0] > 0.15


def test_nonspecific_interstitial_pneumonia_is_hazy_below_and_spares_the_pleura() -> None:
    voxels, lung = _lung("Nonspecific interstitial pneumonia")
    assert _share("Nonspecific interstitial pneumonia", -700, -450)[2] > 0.25
    lower = np.array_split(np.flatnonzero(lung.any(axis=(1, 2))), 3)[2]
    depth = np.stack([distance_transform_edt(lung[z], sampling=SPACING_MM[1:]) for z in lower])
    at = voxels[lower]
    spared = np.median(at[(depth > 2.5) & (depth < 5)])  # the outermost voxel is half chest wall
    assert np.median(at[(depth > 9) & (depth < 18)]) > spared + 60


def test_organizing_pneumonia_is_consolidated_in_places() -> None:
    dense, normal = (_share(name, -150, 120) for name in ("Organizing pneumonia", "Normal"))
    assert dense.sum() > normal.sum() + 0.05


def test_hypersensitivity_pneumonitis_has_haze_and_trapped_air_in_every_third() -> None:
    hazy, dark = (
        _share("Hypersensitivity pneumonitis", *hu) for hu in ((-720, -560), (-1000, -925))
    )
    assert (hazy > 0.08).all()
    assert (dark > 0.08).all()


def test_emphysema_is_darker_than_normal_lung() -> None:
    assert _share("Emphysema", -1024, -945).sum() > _share("Normal", -1024, -945).sum() + 0.1


@pytest.mark.parametrize("pattern", PATTERNS)
def test_report_is_short_and_known_without_the_scan(pattern: str) -> None:
    report = pattern_report(3, pattern)
    assert 4 <= len(f"{report.findings} {report.impression}".split()) <= 20
    assert report == pattern_report(3, pattern)


def test_a_pattern_changes_nothing_of_the_body() -> None:
    sick, well = _lung("Organizing pneumonia"), _lung("Normal")
    assert np.array_equal(sick[1], well[1])

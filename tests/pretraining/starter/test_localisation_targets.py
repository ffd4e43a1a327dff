"""Places know small findings; the lung about a finding is not normal where it is."""

from __future__ import annotations

import numpy as np
import torch

from napari_ctclip.pretraining.starter.localisation_targets import (
    CELLS,
    cell_shares,
    seen_at_tokens,
)
from napari_ctclip.pretraining.starter.patch_batches import PatchSampler
from napari_ctclip.pretraining.starter.patch_pool import PATCH_FINDINGS, make_pool
from napari_ctclip.pretraining.starter.token_targets import TISSUES, UNSURE

F = len(PATCH_FINDINGS)
NODULE, LUNG = PATCH_FINDINGS.index("lung nodule"), F + TISSUES.index("lung")
VESSEL = F + TISSUES.index("vessel")
Box = tuple[slice, slice]


def lung_with(nodule: Box, vessel: Box | None = None) -> torch.Tensor:
    """Return shares of a square of lung of 96 pixels with a nodule and a vessel there."""
    bits = np.zeros((96, 96), np.uint16)
    bits[nodule] = 1 << NODULE
    hounsfield = np.where(bits, 40, -860).astype(np.int16)
    if vessel is not None:
        hounsfield[vessel] = 40
    tissue = np.full((96, 96), TISSUES.index("lung"), np.uint8)
    return cell_shares(hounsfield, bits, tissue, (CELLS, CELLS))[None]


def test_share_is_the_part_of_a_cell_that_a_finding_fills() -> None:
    shares = lung_with(np.s_[8:16, 0:4])
    assert shares.shape == (1, F + len(TISSUES), CELLS, CELLS)
    assert shares[0, NODULE, 1, 0] == 0.5
    assert shares[0, NODULE].sum() == 0.5
    assert (shares[0, LUNG] == 1).all()


def test_one_full_cell_makes_a_large_place_show_the_finding_and_not_normal_lung() -> None:
    seen = seen_at_tokens(lung_with(np.s_[8:16, 0:8]), 3)[0]
    assert seen[NODULE].tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert seen[LUNG].tolist() == [[0, 1, 1], [1, 1, 1], [1, 1, 1]]


def test_a_place_that_a_finding_hardly_touches_is_undecided() -> None:
    seen = seen_at_tokens(lung_with(np.s_[8:10, 0:4]), CELLS)[0]
    assert seen[NODULE, 1, 0] == seen[LUNG, 1, 0] == -1
    assert (seen[NODULE] == -1).sum() == 1


def test_what_is_dense_in_healthy_lung_is_vessel_and_still_normal_lung() -> None:
    seen = seen_at_tokens(lung_with(np.s_[0:8, 0:8], np.s_[40:96, 88:92]), 3)[0]
    assert seen[VESSEL].tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 1]]
    assert seen[LUNG, :, 2].tolist() == [1, 1, 1]


def test_a_vessel_beside_a_nodule_is_undecided() -> None:
    seen = seen_at_tokens(lung_with(np.s_[0:8, 0:8], np.s_[0:32, 12:16]), 3)[0]
    assert seen[NODULE, 0, 0] == 1
    assert seen[VESSEL, 0, 0] == -1


def test_a_place_of_unsure_tissue_shows_none() -> None:
    nothing, dense = np.zeros((24, 24), np.uint16), np.full((24, 24), 40, np.int16)
    unsure = np.full((24, 24), UNSURE, np.uint8)
    seen = seen_at_tokens(cell_shares(dense, nothing, unsure, (CELLS, CELLS))[None], 6)[0]
    mediastinum = F + TISSUES.index("mediastinum")
    assert (seen[mediastinum] == -1).all()
    assert (np.delete(seen.numpy(), mediastinum, axis=0) == 0).all()


def test_cells_of_a_batch_lie_where_the_picture_shows_the_finding() -> None:
    pool = make_pool(slices=40, chests=0, per_chest=0, seed=11)
    narrow = ((-1350.0, 150.0), (-160.0, 240.0), (-160.0, 240.0))
    batch = PatchSampler(pool, windows_hu=narrow, image_size=96).draw(128, np.random.default_rng(0))
    # means of the soft-tissue window over the cells: nodules and masses are bright, lung is not
    bright = torch.nn.functional.adaptive_avg_pool2d(batch.image[:, 1], CELLS)
    focal = batch.shares[:, [NODULE, PATCH_FINDINGS.index("lung mass")]].sum(dim=1) > 0.95
    free = (batch.shares[:, :F].sum(dim=1) == 0) & (batch.shares[:, LUNG] == 1)
    assert focal.sum() > 100
    assert bright[focal].mean() > 0.35
    assert bright[free].mean() < 0.1

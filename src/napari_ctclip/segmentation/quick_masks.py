"""Quick organ masks: what CT numbers and shape alone tell, in seconds and without a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import Cancelled
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.volume import Volume
from napari_ctclip.segmentation.airways import find_airways
from napari_ctclip.segmentation.body import find_body
from napari_ctclip.segmentation.bone import find_bone, spine_column, without_lung_vessels
from napari_ctclip.segmentation.dense_lung import find_dense_lung
from napari_ctclip.segmentation.label_map import drawn_labels
from napari_ctclip.segmentation.lungs import AIR_BELOW_HU, find_lungs
from napari_ctclip.segmentation.mediastinum import find_mediastinum
from napari_ctclip.segmentation.morphology import Mask
from napari_ctclip.segmentation.working_grid import WorkingGrid

__all__ = ["QUICK_LABELS", "quick_organ_masks"]

QUICK_LABELS: Mapping[str, int] = MappingProxyType(
    {
        "body": 1,
        "lung_right": 2,
        "lung_left": 3,
        "trachea_and_airways": 4,
        "bone": 5,
        "mediastinum": 6,
    }
)
"""Legend of the quick organ masks; ``body`` is every tissue that has no other name."""

_STEPS = 6


def quick_organ_masks(
    volume: Volume,
    *,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> OrganMasks:
    """Return lungs, airways, bone, mediastinum and body, found from CT numbers and shape.

    Each lung holds its vessels, its nodules, and masses and consolidation as far as lung lies
    around them; trachea and main airways, neck and bowel gas are kept out. Pleural effusion and a
    consolidated base stay outside the lung. The mediastinum is the space between the lungs down to
    where a dome of the diaphragm joins the heart, without exact borders. An anatomy that is not in
    the scan has no voxels.

    Parameters
    ----------
    volume : Volume
        The scan, HU.
    progress : callable, optional
        Called with (steps done, steps in all).
    should_stop : callable, optional
        Asked between steps.

    Returns
    -------
    OrganMasks
        On the grid of ``volume``, with legend ``QUICK_LABELS`` and source ``"quick"``.

    Raises
    ------
    Cancelled
        If ``should_stop`` says so.
    """
    done = 0

    def step() -> None:
        nonlocal done
        if should_stop is not None and should_stop():
            raise Cancelled("finding the organs was stopped")
        if progress is not None:
            progress(done, _STEPS)
        done += 1

    step()
    grid = WorkingGrid.of(volume)
    step()
    body = find_body(grid)
    air = body & (grid.hu < AIR_BELOW_HU)
    step()
    airways = find_airways(grid, air)
    step()
    middle = spine_column(grid, body)
    right, left = find_lungs(grid, air & ~airways, middle=middle)
    step()
    bone = find_bone(grid, body)
    tissue = body & ~right & ~left & ~bone & ~airways
    right |= find_dense_lung(grid, right, tissue)
    left |= find_dense_lung(grid, left, tissue & ~right)
    bone = without_lung_vessels(bone, right | left)
    mediastinum, bone = find_mediastinum(grid, right, left, bone=bone, middle=middle)
    step()
    masks = {
        "body": body,
        "mediastinum": mediastinum,
        "lung_right": right,
        "lung_left": left,
        "bone": bone,
        "trachea_and_airways": airways,
    }
    labels = drawn_labels(volume, grid, _painted(masks, body), QUICK_LABELS)
    step()
    return OrganMasks(labels, dict(QUICK_LABELS), volume.geometry, source="quick")


def _painted(masks: Mapping[str, Mask], body: Mask) -> npt.NDArray[np.uint8]:
    """Return labels (d, h, w) of masks inside the body; later masks cover earlier ones."""
    blocks = np.zeros(body.shape, dtype=np.uint8)
    for name, mask in masks.items():
        blocks[mask & body] = QUICK_LABELS[name]
    return blocks

"""Quick organ masks: what CT numbers and shape alone tell, in seconds and without a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_ctclip.core.errors import Cancelled
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.volume import Volume
from napari_ctclip.segmentation.airways import find_airways
from napari_ctclip.segmentation.body import find_body
from napari_ctclip.segmentation.bone import find_bone, spine_column, without_lung_vessels
from napari_ctclip.segmentation.lungs import AIR_BELOW_HU, find_dense_lung, find_lungs
from napari_ctclip.segmentation.mediastinum import find_mediastinum
from napari_ctclip.segmentation.morphology import Mask
from napari_ctclip.segmentation.working_grid import WorkingGrid

__all__ = ["QUICK_LABELS", "drawn_labels", "quick_organ_masks"]

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

_EDGES_HU = (-400, -300, 100, 180)
"""Ours: lung | body (air and skin) | soft tissue | marrow at an edge | bone."""

_AIR, _BELOW_SKIN, _TISSUE, _MARROW, _DENSE = range(5)

_NUMBER = 0b111
_INNER_EDGE, _BY_RIGHT, _BY_LEFT, _BY_BONE, _BY_BODY = 8, 16, 32, 64, 128
"""A block's code: its label in the low three bits, then what it borders on."""


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


def drawn_labels(
    volume: Volume, grid: WorkingGrid, blocks: npt.NDArray[np.uint8], legend: Mapping[str, int]
) -> npt.NDArray[np.uint8]:
    """Return labels (D, H, W) from labels of blocks (d, h, w).

    A voxel in a block at the edge of lung, bone or body is decided by its own CT number; what a
    lung took in by closing (a lesion at the pleura) stays.
    """
    codes = _codes(grid, blocks, legend)
    decided = _decisions(legend)
    classes = _hu_classes()
    labels = np.empty(volume.voxels.shape, dtype=np.uint8)
    for z, plane in enumerate(volume.voxels):
        code = grid.expanded_slice(codes, z, plane.shape)
        labels[z] = decided[classes[plane.view(np.uint16)], code]
    return labels


def _painted(masks: Mapping[str, Mask], body: Mask) -> npt.NDArray[np.uint8]:
    """Return labels (d, h, w) of masks inside the body; later masks cover earlier ones."""
    blocks = np.zeros(body.shape, dtype=np.uint8)
    for name, mask in masks.items():
        blocks[mask & body] = QUICK_LABELS[name]
    return blocks


def _codes(
    grid: WorkingGrid, blocks: npt.NDArray[np.uint8], legend: Mapping[str, int]
) -> npt.NDArray[np.uint8]:
    """Return label and borders of every block (d, h, w)."""
    codes = blocks.copy()
    right, left = blocks == legend["lung_right"], blocks == legend["lung_left"]
    bone = blocks == legend["bone"]
    edge = _inner_edge(blocks > 0) | _inner_edge(bone)
    edge |= _inner_edge(right | left) & (grid.hu < _EDGES_HU[0])
    codes[edge] |= _INNER_EDGE
    for mask, flag in ((right, _BY_RIGHT), (left, _BY_LEFT), (bone, _BY_BONE)):
        codes[_grown(mask) & ~mask] |= flag
    codes[_grown(blocks > 0) & (blocks == 0)] |= _BY_BODY
    return codes


def _decisions(legend: Mapping[str, int]) -> npt.NDArray[np.uint8]:
    """Return the label for every class of CT number and every code, (5, 256)."""
    body, bone = legend["body"], legend["bone"]
    lungs = (legend["lung_right"], legend["lung_left"])
    soft = (body, legend["mediastinum"])
    table = np.tile(np.arange(256, dtype=np.uint8) & _NUMBER, (5, 1))
    for code in range(256):
        number = code & _NUMBER
        if code & _INNER_EDGE and number in lungs:
            table[_BELOW_SKIN:, code] = body
        if code & _INNER_EDGE and number == bone:
            table[: _TISSUE + 1, code] = body
        if code & _INNER_EDGE and number == body:
            table[_AIR, code] = 0
        if number in soft and code & _BY_BONE:
            table[_DENSE, code] = bone
        if number in (*soft, bone) and code & (_BY_RIGHT | _BY_LEFT):
            table[_AIR, code] = lungs[0] if code & _BY_RIGHT else lungs[1]
        if number == 0 and code & _BY_BODY:
            table[_TISSUE:, code] = body
    return table


def _hu_classes() -> npt.NDArray[np.uint8]:
    """Return the class of every int16 CT number, indexed by its bits as uint16."""
    hu = np.arange(1 << 16, dtype=np.uint16).view(np.int16)
    return np.digitize(hu, _EDGES_HU).astype(np.uint8)


def _inner_edge(mask: Mask) -> Mask:
    return mask & ~np.asarray(ndimage.binary_erosion(mask, border_value=True))


def _grown(mask: Mask) -> Mask:
    return np.asarray(ndimage.binary_dilation(mask))

"""Which tokens lie in which organ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_ctclip.core.anatomy import members
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.preprocessing.spatial import resample_labels
from napari_ctclip.segmentation.thoracic_cavity import thoracic_cavity_tokens

__all__ = ["THORACIC_CAVITY", "TokenRegions", "labels_on", "token_regions"]

THORACIC_CAVITY = "thoracic_cavity"
"""Region made from the lungs: where pleural findings are looked for."""

_ASKED_AS_ONE = ("lung", "kidney", "heart", "bone")
"""Anatomies that label maps store in parts and prompts ask for as one."""

_AERATED = ("lung", "trachea")
_MOSTLY = 0.5
"""Ours: a token belongs to a lung or an airway that fills at least half of it, so that its tokens
hold no chest wall. Any other organ takes every token it touches, as max-pooling its mask does
(Shui et al. 2025, section 3): plaques lie in the wall, and thin organs fill half of no token."""


@dataclass(frozen=True, eq=False)
class TokenRegions:
    """Tokens of every anatomy of a label map.

    Attributes
    ----------
    tokens : mapping of str to ndarray of intp
        Anatomy -> flat token indices on the (d, h, w) grid, ascending.
    """

    tokens: Mapping[str, npt.NDArray[np.intp]]


def token_regions(
    masks: OrganMasks, input_geometry: Geometry, patch_size: tuple[int, int, int]
) -> TokenRegions:
    """Return the tokens of each anatomy, of organs stored in parts, and of the thoracic cavity.

    Parameters
    ----------
    masks : OrganMasks
        On the scan's own grid.
    input_geometry : Geometry
        Grid of the prepared image, (D, H, W) voxels, in any orientation.
    patch_size : tuple of int
        Voxels (z, y, x) of the prepared image behind one token.
    """
    labels = labels_on(masks, input_geometry)
    pad = [(0, -n % p) for n, p in zip(labels.shape, patch_size, strict=True)]
    labels = np.pad(labels, pad)
    names = {label: name for name, label in masks.legend.items()}
    tokens: dict[str, npt.NDArray[np.intp]] = {}
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None and number in names:
            name = names[number]
            least = _MOSTLY if name.startswith(_AERATED) else 0.0
            tokens[name] = _organ_tokens(labels, number, box=box, patch=patch_size, least=least)
    for group in _ASKED_AS_ONE:
        parts = [tokens[name] for name in members(group, tokens)]
        if group not in tokens and parts:
            tokens[group] = np.unique(np.concatenate(parts))
    if "lung" in tokens and THORACIC_CAVITY not in tokens:
        cavity = thoracic_cavity_tokens(tokens["lung"], input_geometry.coarsened(patch_size))
        if len(cavity):
            tokens[THORACIC_CAVITY] = cavity
    return TokenRegions(tokens)


def labels_on(masks: OrganMasks, input_geometry: Geometry) -> npt.NDArray[np.unsignedinteger]:
    """Return the labels (D, H, W) of organ masks on the grid of the prepared image."""
    transform = masks.geometry.transform_to(input_geometry.axis_codes)
    return np.ascontiguousarray(
        resample_labels(
            transform.apply(masks.labels), masks.geometry.reoriented(transform), input_geometry
        )
    )


def _organ_tokens(
    labels: npt.NDArray[np.unsignedinteger],
    number: int,
    *,
    box: tuple[slice, ...],
    patch: tuple[int, int, int],
    least: float,
) -> npt.NDArray[np.intp]:
    """Return flat indices of the tokens that a label fills to a share of ``least``.

    A share of 0 means any voxel. Only ``box``, where the label lies, is looked at.
    """
    grid = [n // p for n, p in zip(labels.shape, patch, strict=True)]
    first = [s.start // p for s, p in zip(box, patch, strict=True)]
    last = [-(-s.stop // p) for s, p in zip(box, patch, strict=True)]
    window = tuple(slice(a * p, b * p) for a, b, p in zip(first, last, patch, strict=True))
    member = labels[window] == number
    (d, h, w), (pz, py, px) = np.subtract(last, first), patch
    filled = member.reshape(d, pz, h, py, w, px).mean(axis=(1, 3, 5), dtype=np.float32)
    inside = (filled > 0) & (filled >= least)
    if not inside.any():
        inside = filled > 0
    index = np.argwhere(inside) + np.asarray(first)
    return np.asarray(np.ravel_multi_index(tuple(index.T), tuple(grid)), dtype=np.intp)

"""Tokens: which of a coarse grid lie in an organ, a region, the body or the chest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

from napari_ctclip.core.anatomy import members
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.region import Region
from napari_ctclip.core.volume import Volume
from napari_ctclip.preprocessing.spatial import resample_labels
from napari_ctclip.segmentation.body import find_body
from napari_ctclip.segmentation.working_grid import WorkingGrid

__all__ = [
    "THORACIC_CAVITY",
    "TokenRegions",
    "body_tokens",
    "labels_on",
    "nearest_tokens",
    "region_tokens",
    "thoracic_cavity_tokens",
    "token_regions",
]

THORACIC_CAVITY = "thoracic_cavity"
"""Region made from the lungs: where pleural findings are looked for."""

_QUERIED_AS_ONE = ("lung", "kidney", "heart", "bone")
"""Anatomies that label maps store in parts and prompts ask for as one."""

_AERATED = ("lung", "trachea")
_MOSTLY = 0.5
"""Ours: a token belongs to a lung or an airway that fills at least half of it, so that its tokens
hold no chest wall. Any other organ takes every token it touches, as max-pooling its mask does
(Shui et al. 2025, section 3): plaques lie in the wall, and thin organs fill half of no token."""

_SMALLEST_BODY = 0.02
"""Ours: less of the image is no body but a search that failed; then every token counts."""

_FEWEST_HULL_TOKENS = 50
"""Ours: a hull of less is not a chest."""

_PLEURA_MM = 6.0
"""Ours: the hull reaches this far beyond the aerated lungs, to the inner face of the ribs."""


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
    for group in _QUERIED_AS_ONE:
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


def region_tokens(region: Region, geometry: Geometry, tokens: Geometry) -> npt.NDArray[np.intp]:
    """Return the flat indices of the tokens whose centre lies in a region.

    A region smaller than a token gets the token that holds its middle; empty if that lies outside
    the token grid.

    Parameters
    ----------
    region : Region
        On the grid of the scan.
    geometry, tokens : Geometry
        Grids of the scan and of the tokens.
    """
    first = np.asarray(region.start, dtype=np.float64) - 0.5
    corners = np.array(list(np.ndindex(2, 2, 2))) * region.mask.shape + first
    box = tokens.world_to_index(geometry.index_to_world(corners))
    low = np.maximum(np.floor(box.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(box.max(axis=0)).astype(int) + 1, tokens.shape)
    if (low < high).all():
        near = np.stack(
            np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij"),
            axis=-1,
        ).reshape(-1, 3)
        at = np.rint(geometry.world_to_index(tokens.index_to_world(near))).astype(int)
        at -= region.start
        inside = ((at >= 0) & (at < region.mask.shape)).all(axis=1)
        z, y, x = at[inside].T
        member = near[inside][region.mask[z, y, x]]
        if len(member):
            return np.asarray(np.ravel_multi_index(tuple(member.T), tokens.shape), dtype=np.intp)
    points = np.argwhere(region.mask) + region.start
    middle = points[np.argmin(((points - points.mean(axis=0)) ** 2).sum(axis=1))]
    found = nearest_tokens(geometry.index_to_world(middle)[None], tokens)
    return found[found >= 0]


def nearest_tokens(world_mm: npt.NDArray[np.float64], tokens: Geometry) -> npt.NDArray[np.intp]:
    """Return the flat index of the token that holds each RAS point (N, 3); -1 outside the grid."""
    index = np.rint(tokens.world_to_index(world_mm)).astype(int)
    inside = tokens.contains_index(index)
    clipped = np.clip(index, 0, np.asarray(tokens.shape) - 1)
    flat = np.ravel_multi_index(tuple(clipped.T), tokens.shape)
    return np.asarray(np.where(inside, flat, -1), dtype=np.intp)


def body_tokens(
    volume: Volume, input_geometry: Geometry, patch_size: tuple[int, int, int]
) -> npt.NDArray[np.bool_]:
    """Return which tokens (d, h, w) lie in the body or next to it.

    Parameters
    ----------
    volume : Volume
        The scan.
    input_geometry : Geometry
        Grid of the prepared image (D, H, W).
    patch_size : tuple of int
        Voxels (z, y, x) of the prepared image behind one token.
    """
    grid = WorkingGrid.of(volume)
    body = find_body(grid).astype(np.uint8)
    tokens = np.zeros(input_geometry.coarsened(patch_size).shape, dtype=bool)
    if body.mean() < _SMALLEST_BODY:
        return ~tokens
    masks = OrganMasks(body, {"body": 1}, volume.geometry.coarsened(grid.factor))
    tokens.ravel()[token_regions(masks, input_geometry, patch_size).tokens["body"]] = True
    # the skin's own tokens are half air: one token more keeps what lies on the surface
    return np.asarray(ndimage.binary_dilation(tokens))


def thoracic_cavity_tokens(
    lung_tokens: npt.NDArray[np.intp], token_geometry: Geometry
) -> npt.NDArray[np.intp]:
    """Return the flat indices of the tokens (d, h, w) in the convex hull of both lungs.

    Fluid and airless lung are not aerated, so masks made from HU leave them out; they lie inside
    the hull of what is. A lung pressed away on one side is stood in for by the mirrored other one.
    Empty where there are too few tokens to have a hull.
    """
    if len(lung_tokens) < _FEWEST_HULL_TOKENS:
        return np.empty(0, dtype=np.intp)
    grid = token_geometry.shape
    index = np.transpose(np.asarray(np.unravel_index(lung_tokens, grid)))
    lungs_mm = token_geometry.index_to_world(index)
    mirrored = lungs_mm.copy()
    # x runs from left to right in the patient; the middle of both lungs' extent is the midline
    mirrored[:, 0] = lungs_mm[:, 0].min() + lungs_mm[:, 0].max() - lungs_mm[:, 0]
    try:
        hull = ConvexHull(np.concatenate([lungs_mm, mirrored]))
    except QhullError:
        return np.empty(0, dtype=np.intp)
    low, high = hull.points.min(axis=0) - _PLEURA_MM, hull.points.max(axis=0) + _PLEURA_MM
    points = token_geometry.index_to_world(np.indices(grid).reshape(3, -1).T)
    near = np.flatnonzero(((points >= low) & (points <= high)).all(axis=1))
    # rows of ``equations`` are outward unit normals and offsets: signed distance in mm
    inside = np.ones(len(near), dtype=bool)
    for facet in hull.equations:
        remaining = np.flatnonzero(inside)
        distance = points[near[remaining]] @ facet[:3] + facet[3]
        inside[remaining] = distance <= _PLEURA_MM
    return np.asarray(near[inside], dtype=np.intp)


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

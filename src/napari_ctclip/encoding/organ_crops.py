"""Organ crops: one pass around an organ embeds every organ that lies whole in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.notice import Notice
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.volume import Volume
from napari_ctclip.encoding.feature_cache import cache_key
from napari_ctclip.encoding.memory import Attempt, attempts_at, in_memory
from napari_ctclip.encoding.work import PLAIN, Work
from napari_ctclip.models.interface import AnatomyModel, CropProtocol, FeatureMap, RegionEmbeddings
from napari_ctclip.models.towers.organ_query import intact_organs
from napari_ctclip.preprocessing.specification import ModelInput
from napari_ctclip.regions.token_grid import labels_on

__all__ = [
    "OrganCrop",
    "OrganEmbeddings",
    "anatomy_labels",
    "crop_around",
    "embed_organs",
    "load_organs",
    "organ_boxes",
    "organ_key",
    "padded_shape",
    "plan_crops",
    "store_organs",
]

Span = tuple[int, int]
Box = tuple[Span, Span, Span]
"""Start and stop (z, y, x) in voxels of the prepared image."""


@dataclass(frozen=True, eq=False)
class OrganEmbeddings:
    """What a model sees in each organ of a scan.

    Attributes
    ----------
    vectors : mapping of str to Tensor (P, E)
        Anatomy -> unit vectors, one a crop that holds it whole; an anatomy without any is absent.
    notices : tuple of Notice
        What the user should know about how they were made.
    """

    vectors: Mapping[str, Tensor] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True)
class OrganCrop:
    """One pass of the image encoder, and the organs that it is for.

    Attributes
    ----------
    box : Box
        The box of the crop, before it is padded.
    organs : tuple of int
        Numbers of the anatomies that are embedded from it, ascending.
    """

    box: Box
    organs: tuple[int, ...]


@torch.inference_mode()
def embed_organs(
    model: AnatomyModel,
    model_input: ModelInput,
    masks: OrganMasks,
    *,
    work: Work = PLAIN,
) -> OrganEmbeddings:
    """Return the embeddings of the model's anatomies: at most one pass an anatomy, often fewer.

    An anatomy that an earlier crop held whole gets no crop of its own. In its own crop it always
    counts, even where the scan itself cuts it (ours: a cut lung is better scored than not).

    Parameters
    ----------
    model : AnatomyModel
        A model that reads out regions.
    model_input : ModelInput
        The scan as the model sees it.
    masks : OrganMasks
        On the scan's own grid.
    work : Work
        A step a pass.

    Raises
    ------
    Cancelled
        If the work was stopped between two passes.

    References
    ----------
    Shui et al. 2025 (arXiv 2501.14548), zero-shot evaluation; protocol of the CT-RATE release.
    """
    labels = anatomy_labels(masks, model_input.geometry, model.anatomies)
    crops = plan_crops(labels, model.crop_protocol)
    found: dict[int, list[Tensor]] = {}
    notices: dict[str, Notice] = {}
    for crop in work.steps(crops):
        image = _cut(model, model_input.image, crop.box)
        members = _padded(_members(labels, crop, organs=len(model.anatomies)), image.shape)

        def embed(
            attempt: Attempt, image: Tensor = image, members: Tensor = members
        ) -> RegionEmbeddings:
            features = model.encode_image(image.to(attempt.device))
            return model.embed_regions(features, members.to(attempt.device))

        # a crop is as large as the model's own protocol makes it: only the device can change
        regions, told = in_memory(model, attempts_at(model, work.device), embed)
        notices |= {notice.code: notice for notice in told}
        for organ in torch.nonzero(regions.present[0]).flatten().tolist():
            found.setdefault(organ + 1, []).append(regions.vectors[0, organ].float().cpu())
    return OrganEmbeddings(
        {model.anatomies[n - 1]: torch.stack(rows) for n, rows in sorted(found.items())},
        tuple(notices.values()),
    )


def plan_crops(labels: npt.NDArray[np.uint8], protocol: CropProtocol) -> tuple[OrganCrop, ...]:
    """Return the crops that embed every anatomy of (D, H, W) labels, as few as the protocol needs.

    An anatomy that an earlier crop holds whole gets none of its own; its own always counts.
    """
    boxes = organ_boxes(labels)
    planned: list[OrganCrop] = []
    for number, box in boxes.items():
        if any(number in crop.organs for crop in planned):
            continue
        view = _view(labels.shape, boxes, protocol)
        around = crop_around(box, within=view, shape=protocol.shape)
        planned.append(OrganCrop(around, _whole_organs(labels, around, number, protocol)))
    return tuple(planned)


def padded_shape(
    box: Box, *, protocol: CropProtocol, patch_size: Sequence[int]
) -> tuple[int, int, int]:
    """Return the voxels (D, H, W) of a crop as the model gets it, padding at its end included."""
    z, y, x = (
        -(-max(stop - start, least) // patch) * patch
        for (start, stop), least, patch in zip(box, protocol.smallest, patch_size, strict=True)
    )
    return z, y, x


def anatomy_labels(
    masks: OrganMasks, geometry: Geometry, anatomies: Sequence[str]
) -> npt.NDArray[np.uint8]:
    """Return (D, H, W) on another grid: 1 for the first anatomy, 2 for the next, 0 for none.

    A group such as ``"lung"`` joins its parts; where two anatomies share a part the later has it.
    """
    largest = max(int(masks.labels.max()), *masks.legend.values(), 0)
    number_of = np.zeros(largest + 1, dtype=np.uint8)
    for number, anatomy in enumerate(anatomies, start=1):
        number_of[list(masks.labels_of(anatomy))] = number
    return np.asarray(number_of[labels_on(masks, geometry)])


def crop_around(box: Box, *, within: Box, shape: Sequence[int]) -> Box:
    """Return the crop centred on an organ's box, moved as little as needed to lie ``within``.

    It is at least ``shape`` and never smaller than the organ, as far as ``within`` allows.
    """
    spans = []
    for (start, stop), (first, last), size in zip(box, within, shape, strict=True):
        length = min(max(size, stop - start), last - first)
        begin = (start + stop - length) // 2
        begin = min(max(begin, first), last - length)
        spans.append((begin, begin + length))
    return spans[0], spans[1], spans[2]


def organ_boxes(labels: npt.NDArray[np.uint8]) -> dict[int, Box]:
    boxes: dict[int, Box] = {}
    for number, found in enumerate(ndimage.find_objects(labels), start=1):
        if found is not None:
            z, y, x = ((int(s.start), int(s.stop)) for s in found)
            boxes[number] = (z, y, x)
    return boxes


def organ_key(model: AnatomyModel, volume: Volume, masks: OrganMasks) -> str:
    """Return the key of a cache entry: scan, weights, preprocessing, crops and masks."""
    digest = hashlib.sha256(repr((model.crop_protocol, sorted(masks.legend.items()))).encode())
    digest.update(np.ascontiguousarray(masks.labels).data)
    how = model.preprocessing.hash() + digest.hexdigest()
    return cache_key(volume.content_hash(), model.weights_hash(), how)


def load_organs(work: Work, key: str, anatomies: Sequence[str]) -> OrganEmbeddings | None:
    """Return the cached organ embeddings of a key, or None."""
    features, _ = work.cached(key)
    if features is None:
        return None
    vectors = {}
    for anatomy, rows in zip(anatomies, features.levels[0], strict=True):
        found = rows[rows.any(dim=1)]
        if len(found):
            # cached as float16: a unit vector again
            vectors[anatomy] = functional.normalize(found, dim=1)
    return OrganEmbeddings(vectors)


def store_organs(work: Work, key: str, organs: OrganEmbeddings, anatomies: Sequence[str]) -> None:
    """Store organ embeddings as (R, P, E); rows of zeros stand for crops that are missing."""
    if not organs.vectors:
        return
    most = max(len(rows) for rows in organs.vectors.values())
    width = next(iter(organs.vectors.values())).shape[1]
    table = torch.zeros(len(anatomies), most, width)
    for number, anatomy in enumerate(anatomies):
        rows = organs.vectors.get(anatomy)
        if rows is not None:
            table[number, : len(rows)] = rows
    work.store(key, FeatureMap((table,)))


def _view(shape: tuple[int, ...], boxes: Mapping[int, Box], protocol: CropProtocol) -> Box:
    """Return the box of all organs with its margin: what the model is shown of a scan."""
    z, y, x = (
        (
            max(min(box[axis][0] for box in boxes.values()) - protocol.margin[axis], 0),
            min(max(box[axis][1] for box in boxes.values()) + protocol.margin[axis], shape[axis]),
        )
        for axis in range(3)
    )
    return z, y, x


def _cut(model: AnatomyModel, image: npt.NDArray[np.float32], box: Box) -> Tensor:
    """Return the padded crop (1, C, D, H, W)."""
    z, y, x = (slice(*span) for span in box)
    part = torch.from_numpy(np.ascontiguousarray(image[:, z, y, x]))
    target = padded_shape(box, protocol=model.crop_protocol, patch_size=model.patch_size)
    return _padded(part[None], (1, 1, *target))


def _members(labels: npt.NDArray[np.uint8], crop: OrganCrop, *, organs: int) -> Tensor:
    """Return masks (1, R, D, H, W) of the anatomies embedded from a crop; the others' are empty."""
    z, y, x = (slice(*span) for span in crop.box)
    here = torch.from_numpy(np.ascontiguousarray(labels[z, y, x]))
    members = torch.zeros((1, organs, *here.shape), dtype=torch.bool)
    for number in crop.organs:
        members[0, number - 1] = here == number
    return members


def _whole_organs(
    labels: npt.NDArray[np.uint8], box: Box, own: int, protocol: CropProtocol
) -> tuple[int, ...]:
    """Return the anatomies that a crop made for ``own`` does not cut, and ``own``."""
    z, y, x = (slice(*span) for span in box)
    here = torch.from_numpy(np.ascontiguousarray(labels[z, y, x]))
    whole = np.bincount(labels.ravel())
    numbers = [n for n in torch.unique(here).tolist() if n > 0]
    members = torch.stack([here == n for n in numbers])
    intact = intact_organs(members[None], margin=protocol.border)[0].tolist()
    shares = members.flatten(1).sum(dim=1).tolist()
    return tuple(
        number
        for number, is_intact, voxels in zip(numbers, intact, shares, strict=True)
        if number == own or (is_intact and voxels / whole[number] >= protocol.least_inside)
    )


def _padded(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    """Return the tensor with zeros (air) at the end of its last three axes, up to ``shape``."""
    missing = [target - n for n, target in zip(tensor.shape[-3:], shape[-3:], strict=True)]
    z, y, x = missing
    return torch.nn.functional.pad(tensor, (0, x, 0, y, 0, z))

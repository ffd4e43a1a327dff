"""Organ crops: one pass around an organ embeds every organ that lies whole in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor

from napari_ctclip.core.errors import Cancelled
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.models.crop_protocol import AnatomyModel, CropProtocol
from napari_ctclip.models.organ_query import intact_organs
from napari_ctclip.preprocessing.spatial import resample_labels
from napari_ctclip.preprocessing.specification import ModelInput
from napari_ctclip.scoring.encoding import Progress, StopRequested

__all__ = ["OrganEmbeddings", "anatomy_labels", "crop_around", "embed_organs"]

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
    """

    vectors: Mapping[str, Tensor] = field(default_factory=dict)


@torch.inference_mode()
def embed_organs(
    model: AnatomyModel,
    model_input: ModelInput,
    masks: OrganMasks,
    *,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    should_stop: StopRequested | None = None,
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
    progress, should_stop : callable, optional
        Told, and asked, before each pass.

    Raises
    ------
    Cancelled
        If ``should_stop`` answered True between two passes.

    References
    ----------
    Shui et al. 2025 (arXiv 2501.14548), zero-shot evaluation; protocol of the CT-RATE release.
    """
    labels = anatomy_labels(masks, model_input.geometry, model.anatomies)
    boxes = _boxes(labels)
    found: dict[int, list[Tensor]] = {}
    for done, (number, box) in enumerate(boxes.items()):
        if should_stop is not None and should_stop():
            raise Cancelled("encoding was cancelled; nothing was changed")
        if progress is not None:
            progress(done, len(boxes))
        if number in found:
            continue
        view = _view(labels.shape, boxes, model.crop_protocol)
        crop = crop_around(box, within=view, shape=model.crop_protocol.shape)
        image, members = _cut(model, model_input.image, labels, crop)
        _leave_out_cut_organs(members, labels, keep=number, protocol=model.crop_protocol)
        regions = model.embed_regions(
            model.encode_image(image.to(device)), _padded(members, image.shape).to(device)
        )
        for organ in torch.nonzero(regions.present[0]).flatten().tolist():
            found.setdefault(organ + 1, []).append(regions.vectors[0, organ].float().cpu())
    if progress is not None:
        progress(len(boxes), len(boxes))
    return OrganEmbeddings(
        {model.anatomies[n - 1]: torch.stack(rows) for n, rows in sorted(found.items())}
    )


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
    transform = masks.geometry.transform_to(geometry.axis_codes)
    resampled = resample_labels(
        transform.apply(masks.labels), masks.geometry.reoriented(transform), geometry
    )
    return np.asarray(number_of[resampled])


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


def _boxes(labels: npt.NDArray[np.uint8]) -> dict[int, Box]:
    boxes: dict[int, Box] = {}
    for number, found in enumerate(ndimage.find_objects(labels), start=1):
        if found is not None:
            z, y, x = ((int(s.start), int(s.stop)) for s in found)
            boxes[number] = (z, y, x)
    return boxes


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


def _cut(
    model: AnatomyModel, image: npt.NDArray[np.float32], labels: npt.NDArray[np.uint8], crop: Box
) -> tuple[Tensor, Tensor]:
    """Return the padded crop (1, C, D, H, W), and the anatomies' masks (1, R, ...) not padded."""
    z, y, x = (slice(*span) for span in crop)
    part = np.ascontiguousarray(image[:, z, y, x])
    target = [
        -(-max(n, least) // patch) * patch
        for n, least, patch in zip(
            part.shape[1:], model.crop_protocol.smallest, model.patch_size, strict=True
        )
    ]
    numbers = torch.arange(1, len(model.anatomies) + 1, dtype=torch.uint8)
    here = torch.from_numpy(np.ascontiguousarray(labels[z, y, x]))
    members = here[None] == numbers[:, None, None, None]
    return _padded(torch.from_numpy(part)[None], (1, 1, *target)), members[None]


def _leave_out_cut_organs(
    members: Tensor, labels: npt.NDArray[np.uint8], *, keep: int, protocol: CropProtocol
) -> None:
    """Empty the masks (1, R, D, H, W) of organs that the crop cuts, in place."""
    whole = np.bincount(labels.ravel(), minlength=members.shape[1] + 1)[1:]
    share = members[0].flatten(1).sum(dim=1) / torch.from_numpy(whole).clamp_min(1)
    usable = intact_organs(members, margin=protocol.border)[0] & (share >= protocol.least_inside)
    usable[keep - 1] = True
    members[0, ~usable] = False


def _padded(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    """Return the tensor with zeros (air) at the end of its last three axes, up to ``shape``."""
    missing = [target - n for n, target in zip(tensor.shape[-3:], shape[-3:], strict=True)]
    z, y, x = missing
    return torch.nn.functional.pad(tensor, (0, x, 0, y, 0, z))

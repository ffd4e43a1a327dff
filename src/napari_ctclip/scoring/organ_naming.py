"""Organ naming: which organ a model calls a region, by the name whose sentence fits it best."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_ctclip.core.anatomy import major_anatomy
from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.organ_naming import OrganNaming, organ_sentence
from napari_ctclip.encoding.encoding import EncodedScan
from napari_ctclip.encoding.work import PLAIN, Work
from napari_ctclip.models.interface import VisionLanguageModel
from napari_ctclip.regions.token_grid import labels_on

__all__ = ["name_organs", "name_tokens", "organs_of_masks", "trained_names"]

_VOXELS_AT_ONCE = 100_000_000  # a byte each: organs of a large scan go to the model in turn

Masks = npt.NDArray[np.bool_]


def trained_names(model: VisionLanguageModel | None) -> tuple[str, ...]:
    """Return the organs whose names a model was trained with; empty if there were none."""
    names: Sequence[str] = getattr(model, "organ_names", ())
    return tuple(names)


def organs_of_masks(masks: OrganMasks) -> tuple[str, ...]:
    """Return the organs of masks as a person counts them: parts and sides joined, no rest of body.

    What a model without organ names of its own is asked for.
    """
    names = [name for name in masks if name != "body"]
    return tuple(dict.fromkeys(major_anatomy(name) or name for name in names))


def name_organs(
    model: VisionLanguageModel,
    scan: EncodedScan,
    masks: OrganMasks,
    *,
    names: Sequence[str],
    work: Work = PLAIN,
) -> tuple[OrganNaming, ...]:
    """Return what a model calls each organ of the masks that a token of the scan lies in.

    Every organ's vector is pooled as in training and compared with one sentence for each organ
    name; the name whose sentence is most similar is the answer.

    Parameters
    ----------
    scan : EncodedScan
        What the model gave of the scan.
    masks : OrganMasks
        The masks, on the scan's own grid. ``body``, what no organ fills, is left out.
    names : sequence of str
        The organs to choose from.
    work : Work
        It may be stopped between organs.

    Raises
    ------
    CtClipError
        If the model is given the organ before it looks, or there are not two names to choose from.
    Cancelled
        If the work was stopped.

    References
    ----------
    Lin et al. 2024 (CT-GLIP, arXiv 2404.15272): zero-shot organ classification. Sentence and the
    grouping of names are ours.
    """
    labels = labels_on(masks, scan.input_geometry)
    there = np.flatnonzero(np.bincount(labels.ravel(), minlength=1))
    kept = {name: number for name, number in masks.legend.items() if number in there}
    regions = [(name, number) for name, number in kept.items() if name != "body"]
    together = max(1, _VOXELS_AT_ONCE // max(labels.size, 1))

    def chunks() -> Iterator[tuple[list[str], Masks]]:
        for first in range(0, len(regions), together):
            work.refuse_if_stopped("naming the organs")
            part = regions[first : first + together]
            yield [name for name, _ in part], np.stack([labels == number for _, number in part])

    return _named(model, scan, chunks, names)


def name_tokens(
    model: VisionLanguageModel,
    scan: EncodedScan,
    tokens: npt.NDArray[np.intp],
    *,
    names: Sequence[str],
    region: str = "",
) -> OrganNaming | None:
    """Return what a model calls a region; None if no token lies in it.

    Parameters
    ----------
    tokens : ndarray, shape (K,)
        The region, as flat indices on the token grid.
    names : sequence of str
        The organs to choose from.
    region : str
        The organ that the masks say it lies in.

    Raises
    ------
    CtClipError
        As :func:`name_organs`.
    """
    member = np.zeros(scan.token_geometry.shape, dtype=bool)
    member.ravel()[tokens] = True
    for axis, size in enumerate(model.patch_size):
        member = member.repeat(size, axis=axis)
    depth, height, width = scan.input_geometry.shape
    inside = member[None, :depth, :height, :width]
    return next(iter(_named(model, scan, lambda: iter([([region], inside)]), names)), None)


@torch.inference_mode()
def _named(
    model: VisionLanguageModel,
    scan: EncodedScan,
    chunks: Callable[[], Iterator[tuple[list[str], Masks]]],
    names: Sequence[str],
) -> tuple[OrganNaming, ...]:
    """Return the namings of regions: their organs, and masks (R, D, H, W), a few at a time."""
    if model.region_readout == "regions":
        raise CtClipError(
            f"model {model.name!r} cannot name organs: it is given the organ before it looks; "
            "take a model that pools any region, such as one that ct_glip trained"
        )
    if len(names) < 2:
        raise CtClipError(
            f"expected two organ names or more to choose from, got {list(names)}; "
            "give organ masks with more organs, or a model that was trained with organ names"
        )
    device = scan.features.levels[0].device
    texts = model.embed_text([organ_sentence(name) for name in names]).float().to(device)
    found = []
    for regions, masks in chunks():
        pooled = model.embed_regions(scan.features, torch.from_numpy(masks)[None].to(device))
        cosines = pooled.vectors[0].float() @ texts.T
        for region, row, present in zip(regions, cosines, pooled.present[0], strict=True):
            if present:
                found.append(OrganNaming(region, _ranked(names, row)))
    return tuple(found)


def _ranked(names: Sequence[str], cosines: Tensor) -> tuple[tuple[str, float], ...]:
    pairs = zip(names, cosines.tolist(), strict=True)
    return tuple(sorted(pairs, key=lambda pair: pair[1], reverse=True))

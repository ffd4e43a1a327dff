"""Encode again: a scan with something changed in it, only as much of it as the change reaches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from napari_ctclip.core.region import Region
from napari_ctclip.encoding.encoding import (
    EncodedScan,
    Span,
    cut_windows,
    encode_input,
    place_window,
)
from napari_ctclip.encoding.feature_cache import as_cached
from napari_ctclip.encoding.memory import SMALLER_WINDOWS, Attempt, attempts_at, in_memory
from napari_ctclip.encoding.organ_crops import embed_organs
from napari_ctclip.encoding.work import PLAIN, Work
from napari_ctclip.models.interface import FeatureMap, VisionLanguageModel
from napari_ctclip.preprocessing.specification import ModelInput
from napari_ctclip.scoring.encoded_study import EncodedStudy, MaskReadout, Ready
from napari_ctclip.scoring.readout import anatomy_model_of, token_index

__all__ = ["affected_share", "encode_changed"]

Cut = tuple[Span, Span, Span]


def encode_changed(
    ready: Ready, *, original: ModelInput, changed: ModelInput, work: Work = PLAIN
) -> EncodedStudy:
    """Return a changed image encoded: the same answer as from encoding all of it.

    Only windows that hold a changed voxel are encoded, the rest is taken over: a token depends on
    its own window alone. Nothing of it is kept in a cache. A model that embeds organs embeds all
    of them again.

    Parameters
    ----------
    ready : Ready
        The scan as it is, with the organ masks that answer.
    original, changed : ModelInput
        The scan as the model sees it, and the same changed.

    Raises
    ------
    Cancelled
        If the work was stopped.
    """
    differs = (original.image != changed.image).any(axis=0)
    model, encoded, masks = ready.model, ready.encoding, ready.study.organ_masks
    if not differs.any():
        return encoded
    thinner = any(notice.code == SMALLER_WINDOWS for notice in encoded.scan.notices)
    if thinner:  # which windows it was cut in then is not known
        features = as_cached(encode_input(model, changed, work=work).features)
    else:
        hit = [cut for cut in _cuts(model, original) if differs[_box(cut)].any()]
        features = _replaced(model, encoded.scan, changed, hit, work=work)
    scan = replace(encoded.scan, features=features)
    readout = encoded.mask_readout
    anatomy_model = anatomy_model_of(model)
    if anatomy_model is not None and readout is not None and masks is not None:
        organs = embed_organs(anatomy_model, changed, masks, work=work.silent())
        readout = MaskReadout(readout.regions, organs)
    return EncodedStudy(scan, token_index(model, scan), readout, (), False)


def affected_share(ready: Ready, region: Region) -> float:
    """Return the share of a whole encoding that changing a region takes.

    Parameters
    ----------
    region : Region
        The region, on the scan's own grid.
    """
    model, scan, geometry = ready.model, ready.encoding.scan, ready.study.volume.geometry
    if model.region_readout == "regions":
        return 1.0
    first = np.asarray(region.start, dtype=np.float64) - 0.5
    corners = first + np.array(list(np.ndindex(2, 2, 2))) * region.mask.shape
    at = scan.input_geometry.world_to_index(geometry.index_to_world(corners))
    low, high = at.min(axis=0) - 1, at.max(axis=0) + 1  # resampling reaches one voxel further
    cuts = list(cut_windows(scan.input_geometry.shape, model.encoding_windows))
    sizes = [float(np.prod([s.stop - s.start for s in cut])) for cut in cuts]
    hit = [
        size
        for cut, size in zip(cuts, sizes, strict=True)
        if all(s.start <= b and a < s.stop for s, a, b in zip(cut, low, high, strict=True))
    ]
    return sum(hit) / sum(sizes)


@torch.inference_mode()
def _replaced(
    model: VisionLanguageModel,
    scan: EncodedScan,
    changed: ModelInput,
    cuts: list[Cut],
    *,
    work: Work,
) -> FeatureMap:
    """Return the features of a scan with those of some windows made anew."""
    image = changed.image
    z, y, x = image.shape[1:]

    def encode(attempt: Attempt) -> list[Tensor]:
        levels = [level.clone() for level in scan.features.levels]
        for cut in work.steps(cuts):
            block = np.ascontiguousarray(image[(slice(None), *_box(cut))])
            features = model.encode_image(torch.from_numpy(block)[None].to(attempt.device))
            # rounded as the cache rounds, so that unchanged tokens give unchanged numbers
            place_window(levels, as_cached(features), cut, (z, y, x))
        return levels

    levels, _ = in_memory(model, attempts_at(model, work.device), encode)
    return FeatureMap(tuple(levels))


def _cuts(model: VisionLanguageModel, prepared: ModelInput) -> list[Cut]:
    z, y, x = prepared.image.shape[1:]
    return list(cut_windows((z, y, x), model.encoding_windows))


def _box(cut: Cut) -> tuple[slice, slice, slice]:
    z, y, x = (slice(span.start, span.stop) for span in cut)
    return z, y, x

"""Organ embeddings in the feature cache: a scan opened again need not be cropped again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.volume import Volume
from napari_ctclip.encoding.feature_cache import cache_key
from napari_ctclip.encoding.organ_crops import OrganEmbeddings
from napari_ctclip.encoding.work import Work
from napari_ctclip.models.interface import AnatomyModel, FeatureMap

__all__ = ["load_organs", "organ_key", "store_organs"]


def organ_key(model: AnatomyModel, volume: Volume, masks: OrganMasks) -> str:
    """Return the name of an entry: scan, weights, preprocessing, crops and masks."""
    digest = hashlib.sha256(repr((model.crop_protocol, sorted(masks.legend.items()))).encode())
    digest.update(np.ascontiguousarray(masks.labels).data)
    how = model.preprocessing.hash() + digest.hexdigest()
    return cache_key(volume.content_hash(), model.weights_hash(), how)


def load_organs(work: Work, key: str, anatomies: Sequence[str]) -> OrganEmbeddings | None:
    """Return the entry, or None."""
    features, _ = work.cached(key)
    if features is None:
        return None
    vectors = {}
    for anatomy, rows in zip(anatomies, features.levels[0], strict=True):
        found = rows[rows.any(dim=1)]
        if len(found):
            # kept as float16: a unit vector again
            vectors[anatomy] = functional.normalize(found, dim=1)
    return OrganEmbeddings(vectors)


def store_organs(work: Work, key: str, organs: OrganEmbeddings, anatomies: Sequence[str]) -> None:
    """Keep an entry: (R, P, E), rows of zeros where an anatomy has fewer crops or none."""
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

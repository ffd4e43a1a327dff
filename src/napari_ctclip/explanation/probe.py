"""Probe: what lies at one point, in numbers and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume

if TYPE_CHECKING:
    from napari_ctclip.scoring.heatmap import TokenIndex

__all__ = ["Probe", "RankedFinding", "probe_at"]

_SPHERE_RADIUS_MM = 5.0  # Ours: about the smallest lesion worth a mean


@dataclass(frozen=True)
class RankedFinding:
    """How much a point answers to one finding."""

    text: str
    similarity: float


@dataclass(frozen=True)
class Probe:
    """One point of a scan.

    Attributes
    ----------
    index : tuple of int
        The voxel (z, y, x).
    world_mm : tuple of float
        The same point in the file's RAS world, mm.
    hounsfield : int
        The CT number of the voxel, HU.
    mean_hounsfield, sd_hounsfield : float
        The mean and SD in a sphere of 5 mm radius about it, HU.
    anatomy : str
        The organ there; empty if unknown.
    findings : tuple of RankedFinding
        The findings, most similar first; empty until the scan is encoded.
    """

    index: tuple[int, int, int]
    world_mm: tuple[float, float, float]
    hounsfield: int
    mean_hounsfield: float
    sd_hounsfield: float
    anatomy: str
    findings: tuple[RankedFinding, ...]


def probe_at(
    study: Study,
    index: tuple[int, int, int],
    *,
    token_index: TokenIndex | None,
    prompts: Sequence[Prompt],
) -> Probe:
    """Return the probe of a voxel (z, y, x).

    Raises
    ------
    DataError
        If the voxel lies outside the scan.
    """
    volume, masks = study.volume, study.organ_masks
    if not volume.geometry.contains_index(index):
        raise DataError(f"voxel {index} lies outside the scan of {volume.geometry.shape} voxels")
    right, anterior, superior = volume.geometry.index_to_world(index).tolist()
    sphere = _sphere_voxels(volume, index)
    return Probe(
        index=index,
        world_mm=(right, anterior, superior),
        hounsfield=int(volume.voxels[index]),
        mean_hounsfield=float(sphere.mean()),
        sd_hounsfield=float(sphere.std()),
        anatomy="" if masks is None else masks.name_at(index),
        findings=_ranked((right, anterior, superior), token_index, prompts),
    )


def _sphere_voxels(volume: Volume, index: tuple[int, int, int]) -> npt.NDArray[np.float32]:
    spacing = np.asarray(volume.geometry.spacing_mm)
    reach = np.floor(_SPHERE_RADIUS_MM / spacing).astype(int)
    low = np.maximum(np.asarray(index) - reach, 0)
    high = np.minimum(np.asarray(index) + reach + 1, volume.geometry.shape)
    z, y, x = (np.arange(a, b) - i for a, b, i in zip(low, high, index, strict=True))
    distance = np.sqrt(
        (z[:, None, None] * spacing[0]) ** 2
        + (y[None, :, None] * spacing[1]) ** 2
        + (x[None, None, :] * spacing[2]) ** 2
    )
    box = volume.voxels[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    return np.asarray(box[distance <= _SPHERE_RADIUS_MM], dtype=np.float32)


def _ranked(
    world_mm: tuple[float, float, float],
    token_index: TokenIndex | None,
    prompts: Sequence[Prompt],
) -> tuple[RankedFinding, ...]:
    if token_index is None:
        return ()
    grid = token_index.scan.token_geometry
    token = np.rint(grid.world_to_index(world_mm)).astype(int)
    if not grid.contains_index(token):
        return ()
    flat = np.array([np.ravel_multi_index(tuple(token), grid.shape)], dtype=np.intp)
    values = token_index.similarities_at(flat, prompts)[:, 0].tolist()
    pairs = zip(prompts, values, strict=True)
    found = [RankedFinding(p.positive, v) for p, v in pairs if np.isfinite(v)]
    return tuple(sorted(found, key=lambda f: f.similarity, reverse=True))

"""Patch batches: crops of the pool as scanners would show them, and montages of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn import functional

from napari_ctclip.preprocessing.intensity import window_channels
from napari_ctclip.pretraining.starter.localisation_targets import CELLS, cell_shares
from napari_ctclip.pretraining.starter.patch_pool import PATCH_FINDINGS, PatchPool
from napari_ctclip.pretraining.starter.token_targets import TISSUES

__all__ = ["PatchBatch", "PatchDraws", "PatchSampler", "degrade_slice"]

_PATCHES = 1  # a stream of random numbers

_SIDES_MM = (((16.0, 72.0), 0.4), ((54.0, 74.0), 0.4), ((16.0, 26.0), 0.2))
"""Ours: sides of patches and how often they are drawn: any, near what the viewer lays, and of a few
lobules. Evenly on a logarithmic scale."""

_LEAST = np.array([0.003, 0.05, 0.08, 0.06, 0.05, 0.06, 0.1, 0.08, 0.06, 0.002, 0.002])
"""Ours: share of a patch from which a finding counts as seen, in the order of the findings."""

_TISSUE_SEEN, _TISSUE_NOT = 0.35, 0.05
_HEAVY = {"": 0.25, "emphysema": 0.2, "lung nodule": 0.18, "lung mass": 0.09}
_MONTAGES = 0.12
_LEAST_STORED_HU = -1024.0
_TRIES = 4

_T = TypeVar("_T", bound=np.generic)

DrawnPatch = tuple[Tensor, np.ndarray, Tensor]
"""Channels, what is seen, and shares of cells, of one picture."""


@dataclass(frozen=True, eq=False)
class PatchBatch:
    """Patches and what is seen in each.

    Attributes
    ----------
    image : Tensor (N, C, S, S)
        Prepared channels.
    seen : Tensor (N, K)
        1 seen, 0 not, -1 undecided; findings, then tissues.
    shares : Tensor (N, K, P, P)
        How much of each of P x P cells they fill.
    """

    image: Tensor
    seen: Tensor
    shares: Tensor

    @property
    def study_ids(self) -> tuple[str, ...]:
        """Their numbers: patches of the pool have no names."""
        return tuple(f"patch {number}" for number in range(len(self)))

    def __len__(self) -> int:
        return len(self.image)

    def to(self, device: torch.device) -> PatchBatch:
        """Return the batch on a device."""
        return PatchBatch(self.image.to(device), self.seen.to(device), self.shares.to(device))

    def chunks(self, size: int) -> Iterator[PatchBatch]:
        """Yield the batch in parts of ``size`` samples, the last one perhaps smaller."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield PatchBatch(self.image[part], self.seen[part], self.shares[part])


class PatchSampler:
    """Draws batches, alike for the same generator.

    Parameters
    ----------
    pool : PatchPool
        Where patches are cut from.
    windows_hu : sequence of (low, high)
        One channel each.
    image_size : int
        Pixels along a side of what the model sees.
    """

    def __init__(
        self,
        pool: PatchPool,
        *,
        windows_hu: tuple[tuple[float, float], ...],
        image_size: int,
    ) -> None:
        self._pool, self._windows, self._size = pool, windows_hu, image_size
        present = pool.present()
        self._members = {"": np.flatnonzero(~present.any(axis=1))} | {
            name: np.flatnonzero(present[:, i]) for i, name in enumerate(PATCH_FINDINGS)
        }
        self._members = {name: rows for name, rows in self._members.items() if len(rows)}
        rest = 1 - sum(_HEAVY.get(name, 0.0) for name in self._members)
        light = sum(name not in _HEAVY for name in self._members)
        weights = np.array([_HEAVY.get(name, rest / max(light, 1)) for name in self._members])
        self._weights = weights / weights.sum()

    def __len__(self) -> int:
        return len(self._pool)

    def draw(self, count: int, rng: np.random.Generator) -> PatchBatch:
        """Return a batch of ``count`` patches, one in eight a montage."""
        return collate_patches([self.draw_one(rng) for _ in range(count)])

    def draw_one(self, rng: np.random.Generator) -> DrawnPatch:
        """Return one patch, or at times a montage."""
        finding = list(self._members)[int(rng.choice(len(self._weights), p=self._weights))]
        if rng.random() < _MONTAGES:
            return self._montage(finding, rng)
        return self._patch(finding, rng, (self._size, self._size), (CELLS, CELLS))

    def _montage(self, finding: str, rng: np.random.Generator) -> DrawnPatch:
        """Return a montage of 2 x 2 or 3 x 3 patches; most of its tiles show the finding."""
        grid = int(rng.integers(2, 4))
        edges = [round(n * self._size / grid) for n in range(grid + 1)]
        cells = CELLS // grid
        image = torch.zeros(len(self._windows), self._size, self._size)
        rows: list[Tensor] = []
        seen: list[np.ndarray] = []
        for top, bottom in pairwise(edges):
            row: list[Tensor] = []
            for left, right in pairwise(edges):
                kind = finding if rng.random() < 0.75 or not seen else ""
                kind = kind if kind in self._members else finding
                size = bottom - top, right - left
                part, what, filled = self._patch(kind, rng, size, (cells, cells))
                image[:, top:bottom, left:right] = part
                seen.append(what)
                row.append(filled)
            rows.append(torch.cat(row, dim=2))
        every = np.stack(seen)
        joint = np.where((every == 1).any(axis=0), 1, np.where((every == 0).all(axis=0), 0, -1))
        lung = len(PATCH_FINDINGS) + TISSUES.index("lung")
        if finding:
            joint[lung] = 0
        return image, joint.astype(np.int8), torch.cat(rows, dim=1)

    def _patch(
        self,
        finding: str,
        rng: np.random.Generator,
        size: tuple[int, int],
        cells: tuple[int, int],
    ) -> DrawnPatch:
        pool = self._pool
        row = int(rng.choice(self._members[finding]))
        often = [share for _, share in _SIDES_MM]
        sides, _ = _SIDES_MM[int(rng.choice(len(often), p=often))]
        side_mm = np.exp(rng.uniform(*np.log(sides)))
        n = int(np.clip(round(side_mm / float(pool.pixel_mm[row])), 16, pool.bits.shape[1]))
        for _ in range(_TRIES):
            y, x = rng.integers(0, pool.bits.shape[1] - n + 1, 2)
            box = (row, slice(y, y + n), slice(x, x + n))
            seen = _seen(pool.bits[box], pool.tissue[box])
            if not finding or seen[PATCH_FINDINGS.index(finding)] == 1:
                break
        hounsfield = degrade_slice(pool.hounsfield[box], rng, pixel_mm=float(pool.pixel_mm[row]))
        turns, mirrored = int(rng.integers(4)), rng.random() < 0.5
        hounsfield = _turned(hounsfield, turns, mirrored=mirrored)
        clean = _turned(pool.hounsfield[box], turns, mirrored=mirrored)
        bits = _turned(pool.bits[box], turns, mirrored=mirrored)
        tissue = _turned(pool.tissue[box], turns, mirrored=mirrored)
        channels = window_channels(hounsfield, self._windows)
        image = functional.interpolate(
            torch.from_numpy(channels)[None],
            size,
            mode="bilinear",
            align_corners=False,
            antialias=True,
        )
        return image[0], seen, cell_shares(clean, bits, tissue, cells)


class PatchDraws:
    """What each step of starter_2d draws.

    Parameters
    ----------
    sampler : PatchSampler
        Makes the patches.
    batch : int
        The patches of a step, of all ranks together.
    seed : int
        The seed of the run.
    """

    def __init__(self, sampler: PatchSampler, batch: int, *, seed: int) -> None:
        self._sampler, self._batch, self._seed = sampler, batch, seed

    def __len__(self) -> int:
        return len(self._sampler)

    def draws(self, step: int) -> list[Callable[[], DrawnPatch]]:
        """Return a function that makes each patch of a step, of all ranks together."""
        streams = ([self._seed, _PATCHES, step, number] for number in range(self._batch))
        return [partial(self._sampler.draw_one, np.random.default_rng(s)) for s in streams]

    def collate(self, samples: Sequence[DrawnPatch]) -> PatchBatch:
        """Return patches as a batch."""
        return collate_patches(samples)


def collate_patches(drawn: Sequence[DrawnPatch]) -> PatchBatch:
    """Return patches as a batch."""
    images, seen, shares = zip(*drawn, strict=True)
    return PatchBatch(torch.stack(images), torch.from_numpy(np.stack(seen)), torch.stack(shares))


def _turned(square: npt.NDArray[_T], turns: int, *, mirrored: bool) -> npt.NDArray[_T]:
    """Return a square (H, W) in quarter turns, then mirrored."""
    turned = np.rot90(square, turns)
    return np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)


def degrade_slice(
    hounsfield: npt.NDArray[np.int16], rng: np.random.Generator, *, pixel_mm: float
) -> npt.NDArray[np.float32]:
    """Return a square (H, W) in HU as some scanner, kernel and dose would show it.

    Ours: noise of 3-80 HU from fine to coarse grain, kernels from soft to sharp, offsets up to
    20 HU, gain up to 2 %; four of five store nothing below -1024 HU.
    """
    hu = hounsfield.astype(np.float32)
    sharpness = float(rng.uniform(-1, 1))
    soft = gaussian_filter(hu, 0.8 / pixel_mm * max(abs(sharpness), 0.3))
    hu = soft if sharpness < 0 else hu + 0.9 * sharpness * (hu - soft)
    level = float(np.clip(np.exp(rng.normal(np.log(18.0), 0.8)), 3.0, 80.0))
    grain = rng.standard_normal(hu.shape, dtype=np.float32)
    sigma = float(rng.uniform(0, 1.1))
    if sigma > 0.3:
        grain = gaussian_filter(grain, sigma)
    if sharpness > 0.4:  # a sharp kernel removes the low frequencies
        grain = grain - gaussian_filter(grain, 2.0)
    hu = hu + grain * np.float32(level / max(float(grain.std()), 1e-6))
    hu = (hu + 1000) * np.float32(rng.uniform(0.98, 1.02)) - 1000
    hu = hu + np.float32(rng.uniform(-20, 20))
    # most scanners store nothing below: noise about air is cut off, and its mean moves up
    lowest = _LEAST_STORED_HU if rng.random() < 0.8 else -np.inf
    return np.asarray(np.maximum(hu, lowest), dtype=np.float32)


def _seen(bits: npt.NDArray[np.uint16], tissue: npt.NDArray[np.uint8]) -> np.ndarray:
    """Return 1, 0 or -1 for every finding and tissue of a crop."""
    share = np.array([float(((bits >> i) & 1).mean()) for i in range(len(PATCH_FINDINGS))])
    findings = np.where(share >= _LEAST, 1, np.where(share > 0, -1, 0))
    filled = np.bincount(tissue.ravel(), minlength=len(TISSUES))[: len(TISSUES)] / tissue.size
    tissues = np.where(filled >= _TISSUE_SEEN, 1, np.where(filled > _TISSUE_NOT, -1, 0))
    lung = TISSUES.index("lung")
    if (findings == 1).any():  # "normal lung" says that nothing is wrong with it
        tissues[lung] = 0
    elif (findings == -1).any() and tissues[lung] == 1:
        tissues[lung] = -1
    tissues[TISSUES.index("vessel")] = -1  # every patch of lung has some
    tissues[TISSUES.index("mediastinum")] = -1
    return np.concatenate([findings, tissues]).astype(np.int8)

"""Encode: a prepared scan, window by window, into the feature map that every prompt reuses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.notice import Notice
from napari_ctclip.encoding.memory import Attempt, attempts_at, in_memory
from napari_ctclip.encoding.work import PLAIN, Work
from napari_ctclip.models.interface import EncodingWindows, FeatureMap, VisionLanguageModel
from napari_ctclip.models.runtime.freed_memory import reuse_freed_memory
from napari_ctclip.preprocessing.specification import ModelInput

__all__ = [
    "EncodedScan",
    "Span",
    "cut_windows",
    "encode_input",
    "place_window",
    "restored_scan",
    "window_shapes",
]


@dataclass(frozen=True, eq=False)
class EncodedScan:
    """A scan after the expensive half.

    Attributes
    ----------
    features : FeatureMap
        Of the whole scan; each level (1, C, d, h, w).
    input_geometry : Geometry
        Grid of the prepared image.
    token_geometry : Geometry
        Grid (d, h, w) of the tokens: what a similarity map lies on.
    inside : ndarray, shape (d, h, w), bool
        Tokens that can answer: at least half in the scan's field of view, and within the body
        where :meth:`within` was told it.
    notices : tuple of Notice
        What the user should know about how it was made.
    """

    features: FeatureMap
    input_geometry: Geometry
    token_geometry: Geometry
    inside: npt.NDArray[np.bool_]
    notices: tuple[Notice, ...] = ()

    def within(self, tokens: npt.NDArray[np.bool_]) -> EncodedScan:
        """Return the scan with only ``tokens`` (d, h, w) able to answer."""
        return replace(self, inside=self.inside & tokens)


@dataclass(frozen=True)
class Span:
    """One window along one axis: what is encoded, and which part of the answer is kept."""

    start: int
    stop: int
    keep_start: int
    keep_stop: int


@torch.inference_mode()
def encode_input(
    model: VisionLanguageModel,
    model_input: ModelInput,
    *,
    work: Work = PLAIN,
) -> EncodedScan:
    """Return the features of a prepared scan; ``work`` goes a step a window.

    Where memory runs out it starts again with thinner windows, and at last on the CPU; a notice
    says so.

    Raises
    ------
    Cancelled
        If the work was stopped between two windows.
    CtClipError
        If memory suffices for no window.
    """
    image = model_input.image
    shape = _shape3(image.shape[1:])

    def encode(attempt: Attempt) -> list[Tensor]:
        levels: list[Tensor] = []
        for cut in work.steps(list(cut_windows(shape, attempt.windows))):
            block = image[(slice(None), *(slice(s.start, s.stop) for s in cut))]
            tensor = torch.from_numpy(np.ascontiguousarray(block))[None].to(attempt.device)
            place_window(levels, model.encode_image(tensor), cut, shape)
        return levels

    with reuse_freed_memory():
        attempts = attempts_at(model, work.device, depth=shape[0])
        levels, notices = in_memory(model, attempts, encode)
    scan = restored_scan(model, model_input, FeatureMap(tuple(levels)), device=work.device)
    return replace(scan, notices=notices)


def restored_scan(
    model: VisionLanguageModel,
    model_input: ModelInput,
    features: FeatureMap,
    *,
    device: torch.device | str = "cpu",
) -> EncodedScan:
    """Return the encoded scan that goes with features made, or kept, of a prepared scan."""
    return EncodedScan(
        FeatureMap(tuple(level.to(device) for level in features.levels)),
        model_input.geometry,
        model_input.geometry.coarsened(model.patch_size),
        tokens_inside(model_input.inside, model.patch_size),
    )


def window_shapes(
    shape: tuple[int, int, int], windows: EncodingWindows
) -> tuple[tuple[int, int, int], ...]:
    """Return the voxels (z, y, x) of each window that a prepared image (D, H, W) takes."""
    return tuple(
        _shape3(tuple(s.stop - s.start for s in cut)) for cut in cut_windows(shape, windows)
    )


def tokens_inside(
    inside: npt.NDArray[np.bool_], patch_size: Sequence[int]
) -> npt.NDArray[np.bool_]:
    """Return which tokens (d, h, w) lie at least half in the field of view (D, H, W)."""
    share: npt.NDArray[np.float32] = inside.astype(np.float32)
    for axis, size in enumerate(patch_size):
        starts = np.arange(0, share.shape[axis], size)
        share = np.asarray(np.add.reduceat(share, starts, axis=axis) / size, dtype=np.float32)
    return share >= 0.5


def cut_windows(
    shape: tuple[int, int, int], windows: EncodingWindows
) -> Iterator[tuple[Span, Span, Span]]:
    """Return the windows that a prepared image (D, H, W) is encoded in, in this order."""
    z, y, x = (
        _spans(n, size, overlap)
        for n, size, overlap in zip(shape, windows.shape, windows.overlap, strict=True)
    )
    yield from product(z, y, x)


def _spans(length: int, size: int, overlap: int) -> list[Span]:
    """Return windows that cover an axis; neighbours meet in the middle of their overlap.

    Without overlap nothing is encoded twice: the last window is shorter.
    """
    if length <= size:
        return [Span(0, length, 0, length)]
    if overlap == 0:
        cuts = [*range(0, length, size), length]
        return [Span(a, b, a, b) for a, b in pairwise(cuts)]
    starts = [*range(0, length - size, size - overlap), length - size]
    spans = []
    for i, start in enumerate(starts):
        keep_start = 0 if i == 0 else (starts[i - 1] + size + start) // 2
        keep_stop = length if i == len(starts) - 1 else (start + size + starts[i + 1]) // 2
        spans.append(Span(start, start + size, keep_start, keep_stop))
    return spans


def place_window(
    levels: list[Tensor],
    features: FeatureMap,
    cut: tuple[Span, Span, Span],
    shape: tuple[int, int, int],
) -> None:
    """Write the kept part of one window's levels into those of the whole scan."""
    for number, level in enumerate(features.levels):
        strides = [
            (span.stop - span.start) // n for span, n in zip(cut, level.shape[2:], strict=True)
        ]
        if len(levels) <= number:
            grid = [-(-n // s) for n, s in zip(shape, strides, strict=True)]
            levels.append(level.new_zeros((1, level.shape[1], *grid)))
        source, target = [], []
        for span, stride in zip(cut, strides, strict=True):
            first, last = span.keep_start // stride, -(-span.keep_stop // stride)
            target.append(slice(first, last))
            source.append(slice(first - span.start // stride, last - span.start // stride))
        levels[number][(slice(None), slice(None), *target)] = level[
            (slice(None), slice(None), *source)
        ]


def _shape3(shape: tuple[int, ...]) -> tuple[int, int, int]:
    z, y, x = shape
    return z, y, x

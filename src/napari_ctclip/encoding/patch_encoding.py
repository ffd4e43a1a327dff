"""Patches: squares cut out of slices, each embedded as a picture of its own; for montages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_ctclip.core.errors import DataError
from napari_ctclip.encoding.work import PLAIN, Work
from napari_ctclip.models.interface import VisionLanguageModel
from napari_ctclip.preprocessing.specification import ModelInput

__all__ = ["PatchModel", "cut_patches", "encode_patches", "patch_pixels", "sliding_centres"]

_PATCHES_AT_ONCE = 32


class PatchModel(VisionLanguageModel, Protocol):
    """A model of slices: it embeds pictures of any size as wholes."""

    @property
    def image_size(self) -> tuple[int, int]:
        """Pixels (rows, columns) of the pictures it was trained on."""
        ...

    def embed_patches(self, patches: Tensor) -> Tensor:
        """Return (N, E), unit norm, of pictures (N, C, H, W) of prepared values."""
        ...


def patch_pixels(model_input: ModelInput, size_mm: float) -> int:
    """Return the side of a patch in pixels of the prepared image.

    Raises
    ------
    DataError
        If that is less than one pixel.
    """
    pixels = round(size_mm / model_input.geometry.spacing_mm[1])
    if pixels < 1:
        raise DataError(f"a patch of {size_mm:g} mm is smaller than a pixel; expected more")
    return pixels


def sliding_centres(
    shape: Sequence[int], *, size: int, stride: int, slices: Sequence[int] | None = None
) -> npt.NDArray[np.intp]:
    """Return centres (N, 3) of the patches that slide over slices of an image (D, H, W).

    Parameters
    ----------
    shape : sequence of int
        Of the prepared image.
    size, stride : int
        Pixels: side of a patch, and from one to the next. Only patches inside the slice are kept.
    slices : sequence of int, optional
        Indices of slices; all if None.
    """
    depth, *sides = shape
    chosen = np.arange(depth) if slices is None else np.asarray(slices, dtype=np.intp)
    rows, columns = (np.arange(size // 2, n - size + size // 2 + 1, stride) for n in sides)
    grid = np.meshgrid(chosen, rows, columns, indexing="ij")
    return np.stack([axis.ravel() for axis in grid], axis=1).astype(np.intp)


def cut_patches(
    image: npt.NDArray[np.float32], centres: npt.NDArray[np.intp], *, size: int
) -> npt.NDArray[np.float32]:
    """Return patches (N, C, size, size) of a prepared image (C, D, H, W); 0, air, beyond it."""
    patches = np.zeros((len(centres), len(image), size, size), dtype=np.float32)
    height, width = image.shape[2:]
    for patch, (z, y, x) in zip(patches, centres.tolist(), strict=True):
        top, left = y - size // 2, x - size // 2
        rows = slice(max(top, 0), min(top + size, height))
        columns = slice(max(left, 0), min(left + size, width))
        part = image[:, z, rows, columns]
        first, second = rows.start - top, columns.start - left
        patch[:, first : first + part.shape[1], second : second + part.shape[2]] = part
    return patches


@torch.inference_mode()
def encode_patches(
    model: PatchModel,
    model_input: ModelInput,
    *,
    centres: npt.NDArray[np.intp],
    size_mm: float,
    work: Work = PLAIN,
) -> Tensor:
    """Return (N, E), unit norm: the patch about each centre, embedded as a picture of its own.

    Parameters
    ----------
    model : PatchModel
        A model of slices.
    model_input : ModelInput
        The scan as the model sees it.
    centres : ndarray, shape (N, 3)
        Voxels (z, y, x) of the prepared image, e.g. of :func:`sliding_centres`.
    size_mm : float
        Side of a patch; its pixels are resized to what the encoder was trained on.
    work : Work
        Patches, some at a time.

    Raises
    ------
    Cancelled
        If the work was stopped between two batches.
    DataError
        If there is no centre.
    """
    if not len(centres):
        raise DataError("expected at least one patch to encode, got none")
    size = patch_pixels(model_input, size_mm)
    vectors = []
    for start in range(0, len(centres), _PATCHES_AT_ONCE):
        work.refuse_if_stopped()
        work.progress(start, len(centres))
        batch = cut_patches(model_input.image, centres[start : start + _PATCHES_AT_ONCE], size=size)
        vectors.append(model.embed_patches(torch.from_numpy(batch).to(work.device)).cpu())
    work.progress(len(centres), len(centres))
    return torch.cat(vectors)

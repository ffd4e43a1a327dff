"""Memory: what is tried, in this order, where a model does not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import torch

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.models.interface import EncodingWindows, VisionLanguageModel

__all__ = ["SMALLER_WINDOWS", "Attempt", "attempts_at", "in_memory"]

SMALLER_WINDOWS = "smaller-windows"
"""Code of the notice that values differ a little: such features are not cached."""

_HALVINGS = 2  # Ours: a fourth of the window; below that little context is left
_CPU_WORDS = ("not enough memory", "can't allocate memory", "cannot allocate memory")

T = TypeVar("T")


@dataclass(frozen=True)
class Attempt:
    """One way to encode.

    Attributes
    ----------
    windows : EncodingWindows
        How the scan is cut.
    device : str
        Where the model computes.
    notice : Notice or None
        What the user is told if this is the way that worked.
    """

    windows: EncodingWindows
    device: str
    notice: Notice | None = None


def attempts_at(
    model: VisionLanguageModel, device: torch.device | str, *, depth: int | None = None
) -> tuple[Attempt, ...]:
    """Return what to try: as the model wants it, then thinner windows, then the CPU.

    Parameters
    ----------
    device : torch.device or str
        Where the model is.
    depth : int, optional
        Voxels of the prepared scan along z; None where windows cannot be made smaller.
    """
    wanted, device = model.encoding_windows, str(device)
    attempts = [Attempt(wanted, device)]
    if depth is not None and model.preprocessing.shape is None:  # else it takes that shape alone
        attempts += [Attempt(w, device, _thinner(w)) for w in _halved(model, wanted, depth)]
    if device != "cpu":
        attempts.append(Attempt(wanted, "cpu", _on_cpu(device)))
    return tuple(attempts)


def in_memory(
    model: VisionLanguageModel, attempts: Sequence[Attempt], work: Callable[[Attempt], T]
) -> tuple[T, tuple[Notice, ...]]:
    """Return the result of the first attempt that fits into memory, and what to tell the user.

    Raises
    ------
    CtClipError
        If none does.
    """
    home = attempts[0].device
    for attempt in attempts:
        try:
            with _moved(model, home, attempt.device):
                result = work(attempt)
            return result, () if attempt.notice is None else (attempt.notice,)
        except (torch.OutOfMemoryError, RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
        if home.startswith("cuda"):
            torch.cuda.empty_cache()
    raise CtClipError(
        f"memory does not suffice for model {model.name!r}, expected room for a window of "
        f"{' x '.join(map(str, attempts[-1].windows.shape))} voxels on the {attempts[-1].device}; "
        "close other programs, or use a smaller model"
    )


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return any(words in str(error).lower() for words in (*_CPU_WORDS, "out of memory"))


def _halved(
    model: VisionLanguageModel, wanted: EncodingWindows, depth: int
) -> list[EncodingWindows]:
    """Return windows of a half and a fourth of the slices, as far as their overlap allows."""
    step = max(model.preprocessing.multiple_of[0], model.patch_size[0])
    windows: list[EncodingWindows] = []
    thickness = min(wanted.shape[0], depth)
    for _ in range(_HALVINGS):
        thinner = -(-thickness // 2 // step) * step
        if not wanted.overlap[0] < thinner < thickness:
            break
        windows.append(replace(wanted, shape=(thinner, *wanted.shape[1:])))
        thickness = thinner
    return windows


@contextmanager
def _moved(model: VisionLanguageModel, home: str, device: str) -> Iterator[None]:
    """Have the model on another device for a while."""
    if device == home or not isinstance(model, torch.nn.Module):
        yield
        return
    model.to(device)
    try:
        yield
    finally:
        model.to(home)


def _thinner(windows: EncodingWindows) -> Notice:
    return Notice(
        Severity.WARNING,
        SMALLER_WINDOWS,
        f"memory ran out; the scan was encoded in thinner windows of {windows.shape[0]} slices, "
        "which changes values near their borders a little",
    )


def _on_cpu(device: str) -> Notice:
    return Notice(
        Severity.WARNING,
        "encoded-on-cpu",
        f"memory of {device} ran out; the scan was encoded on the CPU, which is slower and gives "
        "the same values",
    )

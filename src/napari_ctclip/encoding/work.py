"""Work: how slow work is carried out, as one value that travels down to whoever does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from napari_ctclip.core.errors import Cancelled
from napari_ctclip.core.notice import Notice
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.models.interface import FeatureMap

__all__ = ["PLAIN", "Progress", "StopRequested", "Work"]

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""

StopRequested = Callable[[], bool]
"""Called between steps; True ends the work with ``Cancelled``."""

T = TypeVar("T")


def _ignore(done: int, total: int) -> None:
    """Report to nobody."""


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Work:
    """How slow work is carried out.

    Attributes
    ----------
    cache : FeatureCache or None
        Where features are looked up before they are computed, and stored after; None computes them
        every time.
    device : str
        Where the model computes, e.g. ``"cuda:0"``.
    progress : callable
        Called with (steps done, steps in all).
    should_stop : callable
        Called between two steps; True ends the work with ``Cancelled``.
    """

    cache: FeatureCache | None = None
    device: str = "cpu"
    progress: Progress = _ignore
    should_stop: StopRequested = _never

    def steps(self, items: Sequence[T], *, name: str = "encoding") -> Iterator[T]:
        """Yield the items one by one, reporting progress and looking for a stop before each.

        Parameters
        ----------
        items : sequence
            One a step.
        name : str
            What is cancelled, for the message of the error.

        Raises
        ------
        Cancelled
            If ``should_stop`` answered True.
        """
        for done, item in enumerate(items):
            self.refuse_if_stopped(name)
            self.progress(done, len(items))
            yield item
        self.progress(len(items), len(items))

    def refuse_if_stopped(self, name: str = "encoding") -> None:
        """Raise ``Cancelled`` if ``should_stop`` answers True."""
        if self.should_stop():
            raise Cancelled(f"{name} was cancelled; nothing was changed")

    def silent(self) -> Work:
        """Return the same work without progress, for a part of a larger whole that reports its own.

        It still stops when it is asked to.
        """
        return replace(self, progress=_ignore)

    def cached(self, key: str) -> tuple[FeatureMap | None, tuple[Notice, ...]]:
        """Return the features of a key, or None where they are not cached; and what to report."""
        return (None, ()) if self.cache is None else self.cache.load(key)

    def store(self, key: str, features: FeatureMap) -> tuple[Notice, ...]:
        """Store the features of a key where there is a cache, and return what to report."""
        return () if self.cache is None else self.cache.store(key, features)


PLAIN = Work()
"""On the CPU, without a cache, reporting to nobody and never stopped."""

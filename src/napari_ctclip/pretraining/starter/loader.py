"""Loader: batches made in the background while the model trains."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from napari_ctclip.pretraining.starter.batch import TokenBatch, collate
from napari_ctclip.pretraining.starter.dataset import StudyFolder

__all__ = ["CropPlan", "batches"]

_AHEAD = 3


@dataclass(frozen=True)
class CropPlan:
    """How large and how many the crops of a step are.

    Most steps see many small crops. Some see few wide ones: a mass is told from a consolidation,
    and an enlarged heart from a normal one, by what surrounds them.

    Attributes
    ----------
    size, count : int
        Voxels along each axis of a small crop, and crops a step.
    wide_size, wide_count : int
        The same of wide crops.
    wide_every : int
        Every so many steps sees wide crops; 0 for none.
    """

    size: int
    count: int
    wide_size: int = 0
    wide_count: int = 0
    wide_every: int = 0

    def at(self, step: int) -> tuple[int, int]:
        """Return size and count at a step."""
        wide = self.wide_every > 0 and step % self.wide_every == self.wide_every - 1
        return (self.wide_size, self.wide_count) if wide else (self.size, self.count)


def batches(
    studies: StudyFolder, plan: CropPlan, *, first_step: int, last_step: int, seed: int
) -> Iterator[TokenBatch]:
    """Yield one batch a step; a step's batch depends on its number only, so training can resume.

    Raises
    ------
    Exception
        Whatever stopped the background thread.
    """
    ready: queue.Queue[TokenBatch | BaseException] = queue.Queue(maxsize=_AHEAD)
    stop = threading.Event()

    def produce() -> None:
        try:
            for step in range(first_step, last_step):
                rng = np.random.default_rng([seed, step])
                size, count = plan.at(step)
                made = collate([studies.draw(rng, size=size) for _ in range(count)])
                while not stop.is_set():
                    try:
                        ready.put(made, timeout=0.5)
                        break
                    except queue.Full:
                        continue
                if stop.is_set():
                    return
        except BaseException as error:  # handed to the consumer, which raises it
            ready.put(error)

    thread = threading.Thread(target=produce, name="training-batches", daemon=True)
    thread.start()
    try:
        for _ in range(first_step, last_step):
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join(timeout=5)

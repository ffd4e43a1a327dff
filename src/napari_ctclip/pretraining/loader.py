"""Loader: batches made in the background while the model trains."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import numpy as np

from napari_ctclip.pretraining.batch import TokenBatch, collate
from napari_ctclip.pretraining.dataset import StudyFolder

__all__ = ["batches"]

_AHEAD = 3


def batches(
    studies: StudyFolder, *, batch: int, first_step: int, last_step: int, seed: int
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
                made = collate([studies.draw(rng) for _ in range(batch)])
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

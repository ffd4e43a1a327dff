"""Many studies: one after another, by processes of this machine, or on a Dask cluster."""

# mypy: allow-untyped-calls
# distributed is typed in part only.
from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.io.store.manifest_entry import ManifestEntry
from napari_ctclip.preparation.rejection import Rejection
from napari_ctclip.preparation.study_preparation import prepare_study

__all__ = ["LOCAL", "run_batch"]

LOCAL = "local"

Progress = Callable[[int, int], None]

_CONNECT_S = 20
_AHEAD = 4  # studies handed to each worker in advance: a queue of 50 000 costs the scheduler memory


def run_batch(
    entries: Sequence[ManifestEntry],
    store_folder: Path,
    *,
    workers: int = 1,
    scheduler: str = LOCAL,
    progress: Progress | None = None,
) -> dict[str, Rejection]:
    """Prepare studies and return the rejections by study id.

    Parameters
    ----------
    entries : sequence of ManifestEntry
        Ids are unique.
    store_folder : Path
        Seen under the same path by every worker.
    workers : int
        Processes on this machine; 1 works in this process.
    scheduler : str
        ``"local"`` or the address of a Dask scheduler.
    progress : callable, optional
        Called with (studies done, studies in all).

    Raises
    ------
    CtClipError
        If the scheduler cannot be reached, or the disk is full.
    """
    rejected: dict[str, Rejection] = {}
    outcomes = (
        _here(entries, store_folder)
        if scheduler == LOCAL and workers == 1
        else _on_dask(entries, store_folder, workers=workers, scheduler=scheduler)
    )
    for done, (study_id, rejection) in enumerate(outcomes, start=1):
        if rejection is not None:
            rejected[study_id] = rejection
        if progress is not None:
            progress(done, len(entries))
    return rejected


Outcome = tuple[str, Rejection | None]


def _here(entries: Sequence[ManifestEntry], store_folder: Path) -> Iterator[Outcome]:
    for entry in entries:
        yield entry.study_id, prepare_study(entry, store_folder)


def _on_dask(
    entries: Sequence[ManifestEntry], store_folder: Path, *, workers: int, scheduler: str
) -> Iterator[Outcome]:
    from distributed import as_completed

    store_folder = store_folder.resolve()
    waiting = iter(entries)
    with _client(workers, scheduler) as client:
        ahead = _AHEAD * max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
        submitted: dict[Any, ManifestEntry] = {}

        def submit() -> Any:
            entry = next(waiting, None)
            if entry is None:
                return None
            future = client.submit(prepare_study, entry, store_folder, pure=False)
            submitted[future] = entry
            return future

        running = as_completed([f for f in (submit() for _ in range(ahead)) if f is not None])
        for future in running:
            entry = submitted.pop(future)
            following = submit()
            if following is not None:
                running.add(following)
            yield entry.study_id, _outcome(future, entry)


def _outcome(future: Any, entry: ManifestEntry) -> Rejection | None:
    """Return what a worker says; a worker that died is a rejection of the study it died on."""
    error = future.exception()
    if error is None:
        outcome: Rejection | None = future.result()
        return outcome
    if isinstance(error, CtClipError):  # the disk is full: no study's fault
        raise error
    reason = (
        f"the worker ended while preparing it ({type(error).__name__}: {error}); most often it ran "
        "out of memory: take fewer --workers and run prepare again"
    )
    return Rejection.of(entry, "failed", reason)


@contextmanager
def _client(workers: int, scheduler: str) -> Iterator[Any]:
    from distributed import Client, LocalCluster

    # at its end, and whenever a machine is busy, a cluster logs tracebacks that mean nothing
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    if scheduler == LOCAL:
        quiet = {"silence_logs": logging.CRITICAL, "dashboard_address": None}
        with (
            LocalCluster(n_workers=workers, threads_per_worker=1, **quiet) as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    try:
        client = Client(scheduler, timeout=_CONNECT_S)
        client.wait_for_workers(1, timeout=_CONNECT_S)
    except (OSError, ValueError) as error:
        raise CtClipError(
            f"no Dask scheduler with workers answers at {scheduler} ({error}); start dask "
            "scheduler and dask worker, or leave --scheduler out"
        ) from error
    with client:
        yield client

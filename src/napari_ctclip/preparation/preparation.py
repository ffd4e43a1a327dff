"""Preparation: from an archive of scans and reports to a training set."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from filelock import FileLock, Timeout

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.notice import Notice
from napari_ctclip.io.store.manifest import faults_across, write_manifest
from napari_ctclip.io.store.manifest_entry import ManifestEntry, Split
from napari_ctclip.io.store.study_record import StoreSpecification
from napari_ctclip.io.store.study_store import StudyStore, create_store, remove_unfinished
from napari_ctclip.preparation.batch import LOCAL, run_batch
from napari_ctclip.preparation.estimate import Estimate, estimate_preparation
from napari_ctclip.preparation.organ_texts import DescribedStudy, described
from napari_ctclip.preparation.quality_report import write_quality_report
from napari_ctclip.preparation.rejection import Rejection, write_rejections
from napari_ctclip.preparation.sources.draft import Draft
from napari_ctclip.preparation.study_checks import (
    Suspicion,
    check_report,
    suspicions_of,
    write_suspicions,
)
from napari_ctclip.preparation.study_preparation import is_finished

__all__ = [
    "Listener",
    "Options",
    "Plan",
    "Summary",
    "draw_split",
    "estimate_plan",
    "plan_preparation",
    "prepare",
    "with_splits",
]

_FILES = ("manifest.jsonl", "rejected.csv", "suspicious.csv", "report.html")
_STORE = "store"
_SPARE = 1.1  # Ours: disk required, over the estimate


@dataclass(frozen=True)
class Options:
    """How a set is prepared, beyond what its store holds.

    Attributes
    ----------
    valid, test : float
        Shares of the patients.
    seed : int
        Of the split.
    any_language : bool
        Keep reports that are not English.
    workers : int
        Processes on this machine.
    scheduler : str
        ``"local"`` or a Dask scheduler's address.
    """

    valid: float = 0.1
    test: float = 0.0
    seed: int = 0
    any_language: bool = False
    workers: int = 1
    scheduler: str = LOCAL


@dataclass(frozen=True)
class Plan:
    """What there is to do, read from tables alone.

    Attributes
    ----------
    entries : tuple of ManifestEntry
        Studies with a usable report and a split each.
    rejections : tuple of Rejection
        Those that the tables already rule out.
    notices : tuple of Notice
        About the archive as a whole.
    """

    entries: tuple[ManifestEntry, ...]
    rejections: tuple[Rejection, ...]
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True)
class Summary:
    """What was done.

    Attributes
    ----------
    kept : int
        Studies in the manifest.
    rejections : tuple of Rejection
        All of them.
    suspicions : tuple of Suspicion
        Remarks about studies that were kept.
    files : tuple of Path
        Manifest, rejections, suspicions, quality report.
    """

    kept: int
    rejections: tuple[Rejection, ...]
    suspicions: tuple[Suspicion, ...]
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Listener:
    """Callbacks for progress; all of them optional.

    Attributes
    ----------
    estimate : callable
        Called once with the :class:`Estimate`, before most of the work.
    progress : callable
        Called with (studies done, studies in all).
    """

    estimate: Callable[[Estimate], None] = field(default=lambda _: None)
    progress: Callable[[int, int], None] = field(default=lambda *_: None)


def plan_preparation(draft: Draft, options: Options) -> Plan:
    """Return the studies that are worth reading, with their splits, and those that are not.

    Raises
    ------
    DataError
        If nothing is left or the shares of the splits are impossible.
    """
    across = faults_across(draft.entries, range(1, len(draft.entries) + 1))
    at_fault = {fault.line: fault for fault in reversed(across)}  # the first of each study
    rejections = list(draft.rejections)
    for line, fault in sorted(at_fault.items()):
        rejections.append(Rejection.of(draft.entries[line - 1], fault.code, fault.message))
    kept = []
    for number, entry in enumerate(draft.entries, start=1):
        if number in at_fault:
            continue
        rejection = check_report(entry, any_language=options.any_language)
        if rejection is None:
            kept.append(entry)
        else:
            rejections.append(rejection)
    entries = with_splits(kept, valid=options.valid, test=options.test, seed=options.seed)
    return Plan(entries, tuple(rejections), tuple(draft.notices))


def estimate_plan(plan: Plan, specification: StoreSpecification, options: Options) -> Estimate:
    """Return what a plan will take, from a few of its studies; nothing is left on disk."""
    with tempfile.TemporaryDirectory(prefix="ctclip-estimate-") as folder:
        store = create_store(Path(folder), specification)
        return estimate_preparation(plan.entries, store, workers=options.workers)


def prepare(
    plan: Plan,
    out: Path,
    specification: StoreSpecification,
    *,
    options: Options,
    listener: Listener | None = None,
) -> Summary:
    """Prepare all studies of a plan; run again after an interruption, it goes on where it stopped.

    The same plan gives the same bytes, however often it was interrupted.

    Raises
    ------
    DataError
        If no study is left, another run works in ``out``, ``out`` was prepared otherwise, or the
        disk is too small.
    """
    listener = listener or Listener()
    if not plan.entries:
        raise DataError(f"no study can be used; {_reasons(plan.rejections)}")
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / ".lock", timeout=0)
        with lock:
            return _prepare(plan, out, specification, options=options, listener=listener)
    except (FileExistsError, PermissionError, NotADirectoryError) as error:
        raise DataError(f"{out} cannot be written ({error}); choose another --out") from error
    except Timeout:
        raise DataError(f"another run of prepare works in {out}; wait for it or stop it") from None


def _prepare(
    plan: Plan,
    out: Path,
    specification: StoreSpecification,
    *,
    options: Options,
    listener: Listener,
) -> Summary:
    store = create_store(out / _STORE, specification)
    remove_unfinished(store)
    waiting = [entry for entry in plan.entries if not is_finished(entry, store)]
    if waiting:
        estimate = estimate_preparation(waiting, store, workers=options.workers)
        listener.estimate(estimate)
        _require_disk(out, estimate)
    rejected = run_batch(
        waiting,
        store.folder,
        workers=options.workers,
        scheduler=options.scheduler,
        progress=listener.progress,
    )
    studies = [described(e) for e in plan.entries if e.study_id not in rejected]
    late = [rejected[e.study_id] for e in plan.entries if e.study_id in rejected]
    return _write(studies, (*plan.rejections, *late), store=store, out=out)


def _write(
    studies: Sequence[DescribedStudy],
    rejections: tuple[Rejection, ...],
    *,
    store: StudyStore,
    out: Path,
) -> Summary:
    entries = [study.entry for study in studies]
    records = {entry.study_id: store.record(entry.study_id) for entry in entries}
    suspicions = suspicions_of(entries, records, is_ct=store.specification.kind == "ct")
    suspicions += tuple(
        Suspicion(study.entry.study_id, *remark) for study in studies for remark in study.remarks
    )
    files = tuple(out / name for name in _FILES)
    write_manifest(entries, files[0])
    write_rejections(rejections, files[1])
    write_suspicions(suspicions, files[2])
    write_quality_report(studies, store, files[3], rejections=rejections, suspicions=suspicions)
    return Summary(len(entries), rejections, suspicions, files)


def _require_disk(out: Path, estimate: Estimate) -> None:
    free = shutil.disk_usage(out).free
    needed = _SPARE * estimate.disk_bytes
    if needed > free:
        raise DataError(
            f"{out}: the set needs about {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free; "
            "make room, choose another --out or a coarser --spacing"
        )


def _reasons(rejections: Sequence[Rejection]) -> str:
    codes = sorted({rejection.code for rejection in rejections})
    first = rejections[0].reason if rejections else "the archive lists none"
    return f"reasons: {', '.join(codes) or 'none'}; the first: {first}"


def with_splits(
    entries: Sequence[ManifestEntry], *, valid: float, test: float, seed: int
) -> tuple[ManifestEntry, ...]:
    """Return the studies with a split each; given splits stay.

    A patient's studies without a split follow the patient's others; else the patient's split is
    drawn, the same whatever other patients there are.

    Raises
    ------
    DataError
        If the shares leave nothing to train on.
    """
    if min(valid, test) < 0 or valid + test >= 1:
        raise DataError(
            f"validation share {valid:g} and test share {test:g} leave no training studies; "
            "expected shares from 0 that add up to less than 1"
        )
    given = {entry.patient_id: entry.split for entry in entries if entry.split is not None}
    return tuple(
        entry.model_copy(
            update={
                "split": given.get(entry.patient_id)
                or draw_split(entry.patient_id, valid=valid, test=test, seed=seed)
            }
        )
        for entry in entries
    )


def draw_split(patient_id: str, *, valid: float, test: float, seed: int) -> Split:
    """Return a patient's split: a number hashed from the id falls into one of the shares."""
    digest = sha256(f"{seed}:{patient_id}".encode()).digest()
    number = int.from_bytes(digest[:8], "big") / 2**64
    if number < test:
        return "test"
    return "valid" if number < test + valid else "train"

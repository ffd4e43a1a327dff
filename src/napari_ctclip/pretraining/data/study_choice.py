"""Study choice: which prepared studies a method can be trained on, and why not the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from napari_ctclip.core.anatomy import members
from napari_ctclip.core.errors import DataError
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.io.store.manifest_entry import ManifestEntry
from napari_ctclip.io.store.study_record import StudyRecord
from napari_ctclip.io.store.study_store import StudyStore
from napari_ctclip.pretraining.data.prepared_set import PreparedSet
from napari_ctclip.pretraining.data.random_crops import Box
from napari_ctclip.pretraining.data.samples import Need

__all__ = ["ChosenStudy", "choose_studies", "organ_text"]

LUNG = "lung"
_NAMED = 3  # studies named as examples


@dataclass(frozen=True)
class ChosenStudy:
    """A study to train on.

    Attributes
    ----------
    entry : ManifestEntry
        Its texts.
    shape : tuple of int
        (D, H, W) of the stored grid.
    box : Box or None
        Around the anatomies that are trained, on the stored grid; None where there are none.
    """

    entry: ManifestEntry
    shape: tuple[int, int, int]
    box: Box | None = None


def choose_studies(
    prepared: PreparedSet, needs: Collection[Need], anatomies: Sequence[str]
) -> tuple[tuple[ChosenStudy, ...], tuple[Notice, ...]]:
    """Return the studies that have what a method needs, and notices about those that have not.

    Parameters
    ----------
    prepared : PreparedSet
        One split.
    needs : collection of Need
        The needs of the method.
    anatomies : sequence of str
        What has a mask and a caption.

    Raises
    ------
    DataError
        If none is left.
    """
    chosen: list[ChosenStudy] = []
    left_out: dict[str, list[str]] = defaultdict(list)
    complete: set[str] = set()
    for entry in prepared.entries:
        record = _record(entry, prepared.store)
        if isinstance(record, str):
            left_out[record].append(entry.study_id)
            continue
        reason = _missing(entry, record, needs, anatomies)
        if reason:
            left_out[reason].append(entry.study_id)
            continue
        complete.update(_complete(entry, record, anatomies, needs))
        chosen.append(ChosenStudy(entry, record.shape, _box(record, anatomies)))
    reasons = tuple(
        f"{len(names)} of {len(prepared.entries)} studies are left out: {reason} (e.g. "
        f"{', '.join(names[:_NAMED])})"
        for reason, names in left_out.items()
    )
    if not chosen:
        raise DataError(f"{prepared.manifest}: no study can be trained on; {'; '.join(reasons)}")
    notices = [Notice(Severity.WARNING, "studies-left-out", line) for line in reasons]
    never = [name for name in anatomies if name not in complete] if "masks" in needs else []
    if never:
        what = "both a mask of and a sentence about" if "sentences" in needs else "a mask of"
        message = (
            f"no study has {what} {', '.join(never)}: nothing is learned of it; leave it out of "
            "data.anatomies, or look at the quality report"
        )
        notices.append(Notice(Severity.WARNING, "anatomies-without-pairs", message))
    return tuple(chosen), tuple(notices)


def organ_text(anatomy: str, tables: Mapping[str, str]) -> str:
    """Return what is said of an anatomy or group."""
    texts = (tables[name].strip() for name in members(anatomy, tables))
    return " ".join(dict.fromkeys(text for text in texts if text))


def _record(entry: ManifestEntry, store: StudyStore) -> StudyRecord | str:
    """Return what is known of a stored study, or why it cannot be used."""
    if entry.study_id not in store:
        return "they are in the manifest and not in the store; run prepare again"
    try:
        return store.record(entry.study_id)
    except DataError as error:
        return str(error)


def _missing(
    entry: ManifestEntry,
    record: StudyRecord,
    needs: Collection[Need],
    anatomies: Sequence[str],
) -> str:
    """Return what a study lacks; "" if it can be used."""
    listed = ", ".join(anatomies)
    if "report" in needs and not entry.text:
        return "they have no report"
    if "masks" in needs and not any(members(name, record.organs) for name in anatomies):
        return f"they have no mask of {listed or 'any anatomy: data.anatomies is empty'}"
    if "masks" in needs and not _complete(entry, record, anatomies, needs):
        return f"they have no sentence about an anatomy that has a mask ({listed})"
    if "lung mask" in needs and not members(LUNG, record.organs):
        return "they have no mask of the lung"
    if "lung sentences" in needs and not organ_text(LUNG, entry.organ_sentences):
        return "their reports say nothing of the lung"
    return ""


def _complete(
    entry: ManifestEntry, record: StudyRecord, anatomies: Sequence[str], needs: Collection[Need]
) -> list[str]:
    """Return the anatomies with a mask, and a sentence where it is needed."""
    return [
        name
        for name in anatomies
        if members(name, record.organs)
        and ("sentences" not in needs or organ_text(name, entry.organ_sentences))
    ]


def _box(record: StudyRecord, anatomies: Sequence[str]) -> Box | None:
    names = {part for anatomy in anatomies for part in members(anatomy, record.organs)}
    if not names:
        return None
    starts = zip(*(record.organs[name].start for name in names), strict=True)
    stops = zip(*(record.organs[name].stop for name in names), strict=True)
    (z0, y0, x0), (z1, y1, x1) = (min(v) for v in starts), (max(v) for v in stops)
    return (z0, y0, x0), (z1, y1, x1)

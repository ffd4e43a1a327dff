"""Is there a report, and can it be read? Told before any voxel is."""

from __future__ import annotations

from napari_ctclip.io.store.manifest_entry import ManifestEntry
from napari_ctclip.preparation.rejection import Rejection
from napari_ctclip.reports import decompose

__all__ = ["check_report"]

_BLANK = {"", ".", "-", "--", "n/a", "na", "nan", "none", "not given", "not given.", "null"}


def check_report(entry: ManifestEntry, *, any_language: bool = False) -> Rejection | None:
    """Return why a study's text cannot be trained on; None if it can.

    A report is set aside as foreign if none of its sentences is recognised as English; one of
    which some are is kept, with a remark.
    """
    text = entry.text.strip()
    if text.lower() in _BLANK:
        reason = "no report: neither report, findings, impression nor organ sentences hold text"
        return Rejection.of(entry, "empty-report", reason)
    if any_language or all(notice.code != "not-english" for notice in decompose(text).notices):
        return None
    reason = (
        "no sentence of the report is recognised as English, which report rules and text encoders "
        "expect; translate it, or keep it with --any-language"
    )
    return Rejection.of(entry, "foreign-report", reason)

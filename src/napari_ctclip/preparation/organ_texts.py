"""Organ sentences: what each report says of each anatomy, as given or taken apart by rules."""

from __future__ import annotations

from dataclasses import dataclass

from napari_ctclip.io.store.manifest_entry import ManifestEntry
from napari_ctclip.reports import DecomposedReport, decompose

__all__ = ["DescribedStudy", "described"]


@dataclass(frozen=True)
class DescribedStudy:
    """A study with its organ sentences and the findings its report names.

    Attributes
    ----------
    entry : ManifestEntry
        With organ sentences.
    findings : tuple of str
        Present for sure.
    remarks : tuple of (code, message)
        What was odd about the text.
    """

    entry: ManifestEntry
    findings: tuple[str, ...] = ()
    remarks: tuple[tuple[str, str], ...] = ()


def described(entry: ManifestEntry) -> DescribedStudy:
    """Return a study with organ sentences: those of the manifest, else of its report.

    A report that speaks of no anatomy keeps an empty table; it still has its whole text.
    """
    report = entry.as_report()
    if not (report.findings.strip() or report.impression.strip()):
        return DescribedStudy(entry)
    decomposed = decompose(report)
    remarks = tuple((notice.code, notice.message) for notice in decomposed.notices)
    if not entry.organ_sentences:
        entry = entry.model_copy(update=_organ_tables(decomposed))
    return DescribedStudy(entry, decomposed.present_findings, remarks)


def _organ_tables(decomposed: DecomposedReport) -> dict[str, dict[str, str] | dict[str, bool]]:
    """Return the manifest's tables: impression first, as fVLM orders the two."""
    texts = decomposed.anatomy_texts
    return {
        "organ_sentences": {
            name: " ".join(part for part in (text.impression, text.findings) if part)
            for name, text in texts.items()
        },
        "organ_normal": {name: text.normal for name, text in texts.items()},
    }

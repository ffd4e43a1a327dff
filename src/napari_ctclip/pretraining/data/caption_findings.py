"""Caption findings: what a manifest says of each anatomy, with the findings it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache

from napari_ctclip.core.anatomy import members
from napari_ctclip.io.store.manifest_entry import ManifestEntry
from napari_ctclip.pretraining.data.study_choice import organ_text
from napari_ctclip.reports import (
    Certainty,
    DecomposedReport,
    FindingMention,
    decompose,
)
from napari_ctclip.reports.abnormality_dictionary import (
    AbnormalityDictionary,
    default_dictionary,
)
from napari_ctclip.reports.captions import OrganCaption

__all__ = ["CaptionReader", "decomposed_entry", "dictionary_texts"]


class CaptionReader:
    """Makes captions of manifest entries.

    Parameters
    ----------
    anatomies : sequence of str
        One caption each.
    dictionary : AbnormalityDictionary, optional
        Findings are read from the reports where it is given.
    """

    def __init__(
        self, anatomies: Sequence[str], dictionary: AbnormalityDictionary | None = None
    ) -> None:
        self._anatomies, self._dictionary = tuple(anatomies), dictionary
        self._kin_of = lru_cache(maxsize=None)(self._find_kin)

    def captions(self, entry: ManifestEntry) -> tuple[OrganCaption, ...]:
        """Return one caption an anatomy; an empty text where the report says nothing of it."""
        read = () if self._dictionary is None else _mentions(decomposed_entry(entry))
        return tuple(self._caption(name, entry, read) for name in self._anatomies)

    def _caption(
        self, anatomy: str, entry: ManifestEntry, read: Sequence[FindingMention]
    ) -> OrganCaption:
        text = organ_text(anatomy, entry.organ_sentences)
        parts = members(anatomy, entry.organ_normal)
        normal = bool(parts) and all(entry.organ_normal[name] for name in parts)
        own = [m for m in read if _is_in(anatomy, m.anatomies)]
        sure = {m.name for m in own if m.certainty is Certainty.PRESENT}
        named = {wider for name in sure for wider in self._wider(name)} | sure
        maybe = {kin for m in own for kin in self._kin_of(m.name)}
        return OrganCaption(text, normal, frozenset(named), frozenset(maybe - named))

    def _wider(self, name: str) -> tuple[str, ...]:
        entry = self._all.entries.get(name)
        return () if entry is None else entry.wider

    def _find_kin(self, name: str) -> frozenset[str]:
        return frozenset(self._all.kin(name))

    @cached_property
    def _all(self) -> AbnormalityDictionary:
        """Every known finding: one of a set lacks the rare ones, and what they are kin of."""
        own = {} if self._dictionary is None else self._dictionary.entries
        return AbnormalityDictionary({**default_dictionary().entries, **own})


def decomposed_entry(entry: ManifestEntry) -> list[DecomposedReport]:
    """Return the report taken apart, or each organ sentence where there is no report."""
    report = entry.as_report()
    if report.findings.strip() or report.impression.strip():
        return [decompose(report)]
    return [decompose(text) for text in entry.organ_sentences.values()]


def dictionary_texts(
    dictionary: AbnormalityDictionary, anatomies: Sequence[str]
) -> Mapping[str, Sequence[tuple[str, str]]]:
    """Return (finding, phrasing) of each anatomy, for ``building.assemble``: name and synonyms."""
    return {
        anatomy: [
            (entry.name, text)
            for entry in dictionary.entries.values()
            if _is_in(anatomy, (entry.anatomy,))
            for text in (entry.name, *entry.synonyms)
        ]
        for anatomy in anatomies
    }


def _mentions(reports: Sequence[DecomposedReport]) -> list[FindingMention]:
    """Return the findings that are there, or may be."""
    return [
        mention
        for report in reports
        for sentence in report.sentences
        for mention in sentence.findings
        if mention.certainty is not Certainty.ABSENT
    ]


def _is_in(anatomy: str, sites: Sequence[str]) -> bool:
    """Return whether one of the sites belongs to an anatomy, or holds it."""
    return bool(members(anatomy, sites)) or any(members(site, (anatomy,)) for site in sites)

"""What a report says, taken apart: sentences, their anatomies, findings, measurements, change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType

from napari_ctclip.core.notice import Notice
from napari_ctclip.reports.captions import organ_caption

__all__ = [
    "AnatomyText",
    "Certainty",
    "Change",
    "DecomposedReport",
    "FindingMention",
    "Measurement",
    "Section",
    "Sentence",
    "Status",
]

Span = tuple[int, int]
"""First and one past the last character in the report's text."""


class Section(StrEnum):
    """Part of a report; only findings and impression are read for findings."""

    FINDINGS = "findings"
    IMPRESSION = "impression"
    TECHNIQUE = "technique"
    CLINICAL = "clinical"
    COMPARISON = "comparison"


class Certainty(StrEnum):
    """How sure the report is of a finding."""

    PRESENT = "present"
    UNCERTAIN = "uncertain"
    ABSENT = "absent"


class Status(StrEnum):
    """What a sentence says of its anatomies."""

    NORMAL = "normal"
    ABNORMAL = "abnormal"
    UNSTATED = "unstated"


class Change(StrEnum):
    """Comparison to a prior examination."""

    NEW = "new"
    LARGER = "larger"
    SMALLER = "smaller"
    UNCHANGED = "unchanged"
    RESOLVED = "resolved"
    COMPARED = "compared"


@dataclass(frozen=True)
class Measurement:
    """A size in the text.

    Attributes
    ----------
    millimetres : tuple of float
        One to three lengths, mm.
    span : (int, int)
        Characters of the report's text.
    """

    millimetres: tuple[float, ...]
    span: Span


@dataclass(frozen=True)
class FindingMention:
    """One finding in one sentence.

    Attributes
    ----------
    name : str
        Canonical name of the lexicon.
    anatomies : tuple of str
        Where.
    certainty : Certainty
        Present, uncertain or absent.
    span : (int, int)
        The words that named it: characters of the report's text.
    reason : str
        The words and the rule that decided.
    """

    name: str
    anatomies: tuple[str, ...]
    certainty: Certainty
    span: Span
    reason: str


@dataclass(frozen=True)
class Sentence:
    """One sentence and everything that was read from it.

    Attributes
    ----------
    section : Section
        Where it stands.
    text : str
        The sentence as written, without surrounding blanks.
    span : (int, int)
        Characters of the report's text.
    anatomies : tuple of str
        Major anatomies (and a few names of our own, e.g. ``"thyroid"``) it speaks of.
    structures : tuple of str
        Narrower names with side, lobe or level, e.g. ``"lung_upper_lobe_left"``.
    findings : tuple of FindingMention
        Named findings, in order.
    status : Status
        Normal, abnormal, or neither is said.
    measurements : tuple of Measurement
        Sizes.
    change : Change or None
        Comparison to a prior examination.
    reasons : tuple of str
        Why: one remark for the anatomies, one for the status.
    """

    section: Section
    text: str
    span: Span
    anatomies: tuple[str, ...] = ()
    structures: tuple[str, ...] = ()
    findings: tuple[FindingMention, ...] = ()
    status: Status = Status.UNSTATED
    measurements: tuple[Measurement, ...] = ()
    change: Change | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class AnatomyText:
    """What a report says of one anatomy.

    Attributes
    ----------
    findings, impression : str
        Its sentences of either section, joined.
    normal : bool
        No sentence of it is abnormal.
    in_impression : bool
        The impression speaks of it; fVLM takes an anatomy left out as normal.
    """

    findings: str
    impression: str
    normal: bool
    in_impression: bool


@dataclass(frozen=True)
class DecomposedReport:
    """A report as sentences with all that was read from them.

    Attributes
    ----------
    text : str
        The text every span counts in.
    sentences : tuple of Sentence
        In the order of the text.
    notices : tuple of Notice
        What a user should know, e.g. that no English sentence was recognised.
    """

    text: str
    sentences: tuple[Sentence, ...]
    notices: tuple[Notice, ...] = ()

    @cached_property
    def anatomy_texts(self) -> Mapping[str, AnatomyText]:
        """What is said of each anatomy that is mentioned."""
        names = dict.fromkeys(name for s in self.sentences for name in s.anatomies)
        return MappingProxyType({name: self._text_of(name) for name in names})

    @cached_property
    def finding_certainties(self) -> Mapping[str, Certainty]:
        """Each named finding with the surest thing said of it: present, then uncertain, absent."""
        rank = list(Certainty)
        found: dict[str, Certainty] = {}
        for mention in (m for s in self.sentences for m in s.findings):
            known = found.get(mention.name, Certainty.ABSENT)
            found[mention.name] = min(known, mention.certainty, key=rank.index)
        return MappingProxyType(found)

    @property
    def present_findings(self) -> tuple[str, ...]:
        """Names of the findings that are present for sure."""
        certainties = self.finding_certainties.items()
        return tuple(name for name, sure in certainties if sure is Certainty.PRESENT)

    @property
    def normal_flags(self) -> Mapping[str, bool]:
        """Whether each mentioned anatomy is normal: no sentence of it is abnormal."""
        return {name: text.normal for name, text in self.anatomy_texts.items()}

    @property
    def captions(self) -> Mapping[str, str]:
        """The text of each anatomy as fVLM writes it: impression, then findings.

        References
        ----------
        Shui et al. 2025 (arXiv 2501.14548), section 3.
        """
        return {
            name: organ_caption(name, findings=text.findings, impression=text.impression)
            for name, text in self.anatomy_texts.items()
        }

    def _text_of(self, anatomy: str) -> AnatomyText:
        own = [s for s in self.sentences if anatomy in s.anatomies]
        impression = [s.text for s in own if s.section is Section.IMPRESSION]
        findings = [s.text for s in own if s.section is Section.FINDINGS]
        return AnatomyText(
            findings=" ".join(findings),
            impression=" ".join(impression),
            normal=not any(_abnormal_at(s, anatomy) for s in own),
            in_impression=bool(impression),
        )


def _abnormal_at(sentence: Sentence, anatomy: str) -> bool:
    """Return whether a sentence says that this anatomy, not only one beside it, is abnormal."""
    if sentence.status is not Status.ABNORMAL:
        return False
    held = [m for m in sentence.findings if m.certainty is not Certainty.ABSENT]
    if not held:
        return True
    return any(anatomy in m.anatomies for m in held)

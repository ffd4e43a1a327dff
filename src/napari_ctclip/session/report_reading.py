"""Report reading: what a scan says to each sentence of a report, in the organ it speaks of."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from napari_ctclip.core.anatomy import GROUPS, MAJOR_ANATOMIES, anatomy_in_text, members
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.encoding.work import PLAIN, Work
from napari_ctclip.explanation.vocabulary import shipped_dictionary
from napari_ctclip.reports import (
    Certainty,
    FindingMention,
    Section,
    Sentence,
    decompose,
)
from napari_ctclip.scoring.answer import Answer
from napari_ctclip.scoring.region_scores import RegionScore
from napari_ctclip.session.session import Session

__all__ = ["SUPPORT_PROBABILITY", "ReadReport", "ReportLine", "Verdict", "read_report"]

SUPPORT_PROBABILITY = 0.5
"""Ours: a finding is supported from here on. Where the model brings a calibration this is the
calibrated probability, else it is a tie between the finding and its negative."""

_SIDE = re.compile(r"\b(right|left)\b", re.IGNORECASE)
_READ = (Section.FINDINGS, Section.IMPRESSION)


class Verdict(StrEnum):
    """What the scan says to a sentence; the value is what the user reads."""

    SUPPORTED = "supported"
    UNSUPPORTED = "not supported"
    DENIED_AGREES = "denied, not seen"
    DENIED_DISAGREES = "denied, but seen"
    NOT_TRAINED = "not trained on it"
    NO_ORGAN = "no organ"
    NO_FINDING = "not a finding"
    NOT_READ = "not read"

    @property
    def is_conflict(self) -> bool:
        """Whether scan and report disagree, by this model."""
        return self in (Verdict.UNSUPPORTED, Verdict.DENIED_DISAGREES)


@dataclass(frozen=True, eq=False)
class ReportLine:
    """One finding of one sentence; a sentence without any has one line, too.

    Attributes
    ----------
    sentence : str
        As written.
    span : (int, int)
        Its characters in :attr:`ReadReport.text`.
    verdict : Verdict
        What the scan says to it.
    why : str
        The rule behind the verdict, in words.
    finding : str
        The name of the finding that was asked; empty if there is none.
    certainty : Certainty or None
        How sure the report is of it.
    score : RegionScore or None
        The organ's answer; None where nothing could be asked.
    """

    sentence: str
    span: tuple[int, int]
    verdict: Verdict
    why: str
    finding: str = ""
    certainty: Certainty | None = None
    score: RegionScore | None = None


@dataclass(frozen=True, eq=False)
class ReadReport:
    """A report with what the scan says to it.

    Attributes
    ----------
    text : str
        The text spans count in.
    lines : tuple of ReportLine
        The lines, in the order of the text.
    notices : tuple of Notice
        What the user should know.
    """

    text: str
    lines: tuple[ReportLine, ...]
    notices: tuple[Notice, ...] = ()

    @property
    def conflicts(self) -> tuple[ReportLine, ...]:
        """Lines in which scan and report disagree."""
        return tuple(line for line in self.lines if line.verdict.is_conflict)


def read_report(session: Session, text: str, work: Work = PLAIN) -> ReadReport:
    """Return what the encoded scan says to every sentence. Nothing is stored.

    Parameters
    ----------
    session : Session
        The session, with an encoded scan; it is only read, so this may run on any thread.
    text : str
        The report, in English.
    work : Work
        It may be stopped before every sentence.

    Raises
    ------
    NotEncoded
        If the scan is not encoded.
    Cancelled
        If the work was stopped.

    Notes
    -----
    Sentences, findings, organs and negation are those of ``pretraining.findings.decompose``. The
    model is asked the finding's name in the session's templates, not the sentence: size, location
    and negation are words that a contrastive model encodes badly.
    """
    reader = _Reader(session)
    decomposed = decompose(text)
    lines: list[ReportLine] = []
    for sentence in decomposed.sentences:
        work.refuse_if_stopped("reading the report")
        lines += reader.lines_of(sentence)
    notices = (*decomposed.notices, *reader.notices())
    return ReadReport(decomposed.text, tuple(lines), notices)


class _Reader:
    """Asks one scan the findings of sentences, each finding once."""

    def __init__(self, session: Session) -> None:
        ready = session.ready()
        self._session = session
        dictionary = shipped_dictionary()
        suggested = ready.model.suggested_prompts
        self._known = {dictionary.canonical(text) or text for text in suggested}
        self._has_organs = bool(ready.encoding.regions and ready.encoding.regions.tokens)
        self._answers: dict[str, Answer] = {}

    def notices(self) -> tuple[Notice, ...]:
        """Return what holds for the whole report."""
        if self._has_organs:
            return ()
        message = "no organ masks: every finding was looked for in the whole scan, not in its organ"
        return (Notice(Severity.WARNING, "no-organ-masks", message),)

    def lines_of(self, sentence: Sentence) -> Iterator[ReportLine]:
        """Yield a line for every finding of a sentence, or the one that says why there is none."""
        if sentence.section not in _READ:
            why = f"it belongs to {sentence.section}; only findings and impression are read"
            yield ReportLine(sentence.text, sentence.span, Verdict.NOT_READ, why)
            return
        if not sentence.findings:
            why = "it names no finding of the dictionary; " + "; ".join(sentence.reasons)
            yield ReportLine(sentence.text, sentence.span, Verdict.NO_FINDING, why.rstrip("; "))
        for mention in sentence.findings:
            yield self._line(sentence, mention)

    def _line(self, sentence: Sentence, mention: FindingMention) -> ReportLine:
        answer = self._answers.get(mention.name)
        if answer is None:
            prompt = Prompt(mention.name, templates=self._session.templates)
            answer = self._session.compute_answer(prompt)
            self._answers[mention.name] = answer
        score = self._score(answer, sentence, mention)
        verdict, why = self._judged(mention, score)
        return ReportLine(
            sentence.text,
            sentence.span,
            verdict,
            why,
            finding=mention.name,
            certainty=mention.certainty,
            score=score,
        )

    def _score(
        self, answer: Answer, sentence: Sentence, mention: FindingMention
    ) -> RegionScore | None:
        if not self._has_organs:
            return answer.whole
        scores = {score.anatomy: score for score in answer.organs}
        wanted = _regions(sentence, mention, scores)
        return next((scores[name] for name in wanted if name in scores), None)

    def _judged(self, mention: FindingMention, score: RegionScore | None) -> tuple[Verdict, str]:
        if score is None:
            organs = ", ".join(mention.anatomies) or "unknown"
            return Verdict.NO_ORGAN, f"no organ mask holds it ({organs})"
        if self._known and mention.name not in self._known:
            return Verdict.NOT_TRAINED, "the score is shown and not judged"
        seen = score.probability >= SUPPORT_PROBABILITY
        said = "at least" if seen else "below"
        why = f"probability {score.probability:.2f}, {said} {SUPPORT_PROBABILITY:.2f}"
        if mention.certainty is Certainty.ABSENT:
            return (Verdict.DENIED_DISAGREES if seen else Verdict.DENIED_AGREES), why
        return (Verdict.SUPPORTED if seen else Verdict.UNSUPPORTED), why


def _regions(sentence: Sentence, mention: FindingMention, known: Collection[str]) -> Iterator[str]:
    """Yield where a finding may be looked for, the narrowest region first."""
    sides = {match.lower() for match in _SIDE.findall(sentence.text)}
    regions = [name for name in (anatomy_in_text(mention.name), *mention.anatomies) if name]
    for structure in sentence.structures:
        yield structure
        yield from _holding((structure,), known)
    if len(sides) == 1:
        yield from (f"{region}_{next(iter(sides))}" for region in regions)
    yield from regions
    for region in regions:  # masks from HU alone know a heart only as part of the mediastinum
        yield from _holding(MAJOR_ANATOMIES.get(region, (region,)), known)


def _holding(parts: Sequence[str], known: Collection[str]) -> list[str]:
    """Return the known organs that any of the parts lies in, the narrowest first."""
    found = [name for name in known if name != "body" and members(name, parts)]
    return sorted(found, key=lambda name: len(GROUPS.get(name, ())))

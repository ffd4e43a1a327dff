"""Agreement: how well the rules match labels set by people, and organ sentences split by others."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_ctclip.core.errors import DataError
from napari_ctclip.reports.corpus import decompose_all, read_report_table
from napari_ctclip.reports.decomposition import decompose
from napari_ctclip.reports.labels import findings_of_labels
from napari_ctclip.reports.lexicon import load_lexicon
from napari_ctclip.reports.sentences import sentence_spans
from napari_ctclip.reports.structure import Certainty, DecomposedReport

__all__ = [
    "Counts",
    "NormalAgreement",
    "agreement_with_labels",
    "agreement_with_organ_sentences",
    "in_tuning_half",
    "macro_f1",
    "micro_f1",
    "normal_agreement",
]


@dataclass(frozen=True)
class Counts:
    """True positives, false positives and false negatives of one label."""

    hit: int = 0
    extra: int = 0
    missed: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.hit + other.hit, self.extra + other.extra, self.missed + other.missed)

    @property
    def precision(self) -> float:
        """Share of what was found that is right; 0 if nothing was found."""
        return self.hit / max(1, self.hit + self.extra)

    @property
    def recall(self) -> float:
        """Share of what is there that was found; 0 if nothing is there."""
        return self.hit / max(1, self.hit + self.missed)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 without any positive."""
        return 2 * self.hit / max(1, 2 * self.hit + self.extra + self.missed)


def micro_f1(counts: Iterable[Counts]) -> float:
    """Return F1 of all decisions together."""
    return sum(counts, Counts()).f1


def macro_f1(counts: Sequence[Counts]) -> float:
    """Return the mean of the labels' F1."""
    return sum(c.f1 for c in counts) / max(1, len(counts))


def in_tuning_half(identifier: str) -> bool:
    """Return whether the rules may be tuned on a report: half of them, fixed by the id's hash."""
    return hashlib.sha256(identifier.encode()).digest()[0] % 2 == 0


def agreement_with_labels(
    file: Path, *, text: str, identifier: str, label_set: str = "ct_rate", workers: int = 1
) -> dict[str, dict[str, Counts]]:
    """Return ``"tuning"`` and ``"held-out"`` -> label -> counts against the table's 0/1 columns.

    Raises
    ------
    DataError
        If the table lacks a column, or the label set is unknown.
    """
    labels = load_lexicon().label_sets.get(label_set)
    if labels is None:
        raise DataError(f"no label set {label_set!r}; expected one of those in label_sets.toml")
    rows = read_report_table(file, text=text, identifier=identifier)
    missing = [label for label in labels if rows and label not in rows[0].columns]
    if missing:
        raise DataError(f"{file}: no column {missing[0]!r} of the label set {label_set}")
    halves = {half: dict.fromkeys(labels, Counts()) for half in ("tuning", "held-out")}
    reports = decompose_all([row.report for row in rows], workers=workers)
    for row, report in zip(rows, reports, strict=True):
        half = halves["tuning" if in_tuning_half(row.id) else "held-out"]
        for label, found in findings_of_labels(report, label_set).items():
            true = row.columns[label].strip() in ("1", "1.0")
            half[label] += Counts(found and true, found and not true, true and not found)
    return halves


def agreement_with_organ_sentences(file: Path) -> dict[str, Counts]:
    """Return organ -> counts of sentences, each judged alone, against fVLM's split by organ."""
    counts: Counter[tuple[str, str]] = Counter()
    organs: dict[str, None] = {}
    for parts in _organ_texts(file).values():
        organs |= dict.fromkeys(parts)
        owners: dict[str, set[str]] = {}
        sentences: dict[str, str] = {}
        for organ, text in parts.items():
            body = _without_flag(text, organ)
            for start, end in sentence_spans(body, 0, len(body)):
                key = re.sub(r"\W+", " ", body[start:end].lower()).strip()
                owners.setdefault(key, set()).add(organ)
                sentences[key] = body[start:end]
        for key, owner in owners.items():
            found = {a for s in decompose(sentences[key]).sentences for a in s.anatomies}
            for organ in parts:
                counts[organ, _outcome(organ in found, organ in owner)] += 1
    return {
        organ: Counts(*(counts[organ, kind] for kind in ("hit", "extra", "missed")))
        for organ in organs
    }


@dataclass(frozen=True)
class NormalAgreement:
    """Whether an organ counts as normal: ours against theirs, with our reasons where they differ.

    Attributes
    ----------
    both_normal, both_abnormal, only_theirs, only_ours : int
        ``only_theirs``: normal for them alone.
    reasons : dict of str to int
        What the text says where only they call it normal.
    """

    both_normal: int
    both_abnormal: int
    only_theirs: int
    only_ours: int
    reasons: Mapping[str, int]


def normal_agreement(file: Path) -> dict[str, NormalAgreement]:
    """Return organ -> agreement on normal: their flag follows the impression, ours all of it."""
    outcomes: Counter[tuple[str, bool, bool]] = Counter()
    reasons: dict[str, Counter[str]] = {}
    for parts in _organ_texts(file).values():
        for organ, text in parts.items():
            theirs = text.startswith(_flag(organ))
            report = decompose(_without_flag(text, organ))
            said = report.anatomy_texts.get(organ)
            ours = said is None or said.normal
            outcomes[organ, theirs, ours] += 1
            if theirs and not ours:
                reasons.setdefault(organ, Counter()).update(_held(report, organ))
    return {
        organ: NormalAgreement(
            both_normal=outcomes[organ, True, True],
            both_abnormal=outcomes[organ, False, False],
            only_theirs=outcomes[organ, True, False],
            only_ours=outcomes[organ, False, True],
            reasons=dict(reasons.get(organ, Counter()).most_common()),
        )
        for organ in dict.fromkeys(organ for organ, _, _ in outcomes)
    }


def _held(report: DecomposedReport, organ: str) -> set[str]:
    names = {
        m.name
        for s in report.sentences
        for m in s.findings
        if organ in m.anatomies and m.certainty is not Certainty.ABSENT
    }
    return names or {"abnormal without a named finding"}


def _organ_texts(file: Path) -> dict[str, dict[str, str]]:
    try:
        table = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise DataError(f"{file}: no such file") from None
    except ValueError as error:
        raise DataError(f"{file}: not valid JSON: {error}") from error
    if not isinstance(table, dict) or not all(isinstance(v, dict) for v in table.values()):
        raise DataError(f"{file}: expected scan -> organ -> text, as fVLM writes it")
    return table


def _flag(organ: str) -> str:
    return f"{organ} shows no significant abnormalities."


def _without_flag(text: str, organ: str) -> str:
    return text.removeprefix(_flag(organ))


def _outcome(found: bool, true: bool) -> str:
    if found:
        return "hit" if true else "extra"
    return "missed" if true else "neither"

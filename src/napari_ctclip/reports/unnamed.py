"""Unnamed: what a corpus calls abnormal without a name the lexicon knows: terms it may lack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from napari_ctclip.reports.lexicon import Lexicon, load_lexicon
from napari_ctclip.reports.structure import (
    Certainty,
    DecomposedReport,
    Sentence,
    Status,
)

__all__ = ["unnamed_phrases"]

_LINKING = frozenset({"the", "a", "an", "of", "in", "is", "are", "was", "were", "and", "with", ","})


def unnamed_phrases(
    reports: Iterable[DecomposedReport], *, lexicon: Lexicon | None = None
) -> Counter[tuple[str, str]]:
    """Return (anatomy, phrase) -> reports, for abnormal sentences without a named finding.

    A phrase is the word that made the sentence abnormal with the word before it, folded; phrases of
    two words carry no patient's data and show what the lexicon lacks.
    """
    words = load_lexicon() if lexicon is None else lexicon
    counts: Counter[tuple[str, str]] = Counter()
    for report in reports:
        counts.update({pair for s in report.sentences for pair in _phrases(s, words)})
    return counts


def _phrases(sentence: Sentence, lexicon: Lexicon) -> list[tuple[str, str]]:
    named = any(m.certainty is not Certainty.ABSENT for m in sentence.findings)
    if named or sentence.status is not Status.ABNORMAL:
        return []
    tokens = lexicon.folding.tokens(sentence.text)
    phrases = []
    for hit in lexicon.status_matcher.find(tokens):
        if "abnormal" in hit.values:
            before = tokens[hit.first - 1].word if hit.first else ""
            start = hit.first if before in _LINKING or not before.isalpha() else hit.first - 1
            phrases.append(" ".join(token.word for token in tokens[start : hit.last + 1]))
    return [(anatomy, phrase) for anatomy in sentence.anatomies or ("",) for phrase in phrases]

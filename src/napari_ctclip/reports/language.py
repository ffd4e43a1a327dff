"""Language: whether a text is English; other languages must not be read with English rules."""

from __future__ import annotations

from napari_ctclip.reports.folding import TokenLine
from napari_ctclip.reports.lexicon import Lexicon

__all__ = ["REPORT_KNOWN", "known_words", "reads_as_english"]

REPORT_KNOWN = 0.45  # Ours: a report in English has 0.7 and more known words
_SENTENCE_KNOWN = 0.2  # Ours: a short advice to the referrer has 0.25 and more
_MOST_FOREIGN = 0.04  # Ours: a stray word in a long sentence is forgiven
_FEWEST_WORDS = 3  # Ours: with fewer, unknown words do not tell a language


def known_words(tokens: TokenLine, lexicon: Lexicon) -> tuple[int, int, int]:
    """Return how many words are known (English function words or terms), are foreign, are there."""
    words = [token.word for token in tokens if len(token.word) > 1 and token.word.isalpha()]
    known, foreign = lexicon.known_words, lexicon.foreign_words
    return sum(w in known for w in words), sum(w in foreign for w in words), len(words)


def reads_as_english(known: int, foreign: int, count: int) -> bool:
    """Return whether a sentence with so many known, foreign and all words can be read.

    Hardly any word may be a function word of another language ("kein Pneumothorax" must not become
    a pneumothorax), and some words must be known.
    """
    if foreign > _MOST_FOREIGN * count:
        return False
    return count < _FEWEST_WORDS or known >= _SENTENCE_KNOWN * count

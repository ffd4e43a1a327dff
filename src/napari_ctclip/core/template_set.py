"""Template set: the prompt templates that a finding is put into before a model encodes it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from napari_ctclip.core.errors import DataError

__all__ = ["AS_TYPED", "TemplateSet", "denied_text"]

_WORDS, _ORGAN = "{}", "{organ}"
_NO_ORGAN = "scan"  # Ours: for words that speak of no organ
_NEGATED = re.compile(r"^(no|not|without|absence of|absent)\b\s*", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\{[^{}]*\}?|\}")


@dataclass(frozen=True)
class TemplateSet:
    """One sentence or several, each with ``{}`` where the words go.

    ``{organ}`` stands for the organ that the prompt speaks of.

    Attributes
    ----------
    name : str
        What a person and ``--templates`` call it.
    positive : tuple of str
        For a text that says something is there. Several are an ensemble: they are encoded as one,
        the mean of their unit vectors (``scoring.prompt_ensemble``).
    negative : tuple of str
        For a text that denies something ("no lung nodule"), filled with what it denies; empty where
        such a text goes into the positive ones as it stands.
    source : str
        Who uses these sentences; says nothing about what they do, so it is not compared.

    Raises
    ------
    DataError
        If it has no name or no sentence, or a sentence lacks ``{}`` or has another placeholder.
    """

    name: str
    positive: tuple[str, ...] = (_WORDS,)
    negative: tuple[str, ...] = ()
    source: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.positive:
            raise DataError(
                "templates need a name and at least one positive sentence, e.g. 'CT shows {}.', "
                f"got name {self.name!r} and {list(self.positive)}"
            )
        every = [*self.positive, *self.negative]
        if any(_WORDS not in template for template in every):
            raise DataError(f"every template needs {{}} where the words go, got {every}")
        odd = {p for t in every for p in _PLACEHOLDER.findall(t)} - {_WORDS, _ORGAN}
        if odd:
            raise DataError(f"templates know {{}} and {{organ}} only, got {sorted(odd)} in {every}")

    @property
    def is_ensemble(self) -> bool:
        """Whether several sentences are encoded as one."""
        return len(self.positive) > 1

    def each_alone(self) -> tuple[TemplateSet, ...]:
        """Return every sentence as a set of its own.

        A sentence for presence goes with the one for absence at the same position, and with all of
        those where there is another number of them.
        """
        paired = len(self.positive) == len(self.negative)
        return tuple(
            replace(
                self, positive=(text,), negative=(self.negative[n],) if paired else self.negative
            )
            for n, text in enumerate(self.positive)
        )

    def worded(self, text: str, *, organ: str = "") -> tuple[str, ...]:
        """Return the texts that stand for ``text``, each once.

        Parameters
        ----------
        text : str
            A finding, or its negation. Its full stop goes unless it is taken as it stands.
        organ : str
            In a person's words, e.g. ``"left lung"``; "scan" where it is empty.
        """
        denied = denied_text(text) if self.negative else ""
        templates, words = (self.negative, denied) if denied else (self.positive, text)
        return tuple(dict.fromkeys(_filled(t, words, organ or _NO_ORGAN) for t in templates))


AS_TYPED = TemplateSet("as typed")
"""Nothing is added to the words."""


def denied_text(text: str) -> str:
    """Return what a text denies: "no lung nodule" -> "lung nodule"; empty if it denies nothing."""
    return _NEGATED.sub("", text) if _NEGATED.match(text) else ""


def _filled(template: str, words: str, organ: str) -> str:
    if template == _WORDS:
        return words
    return template.replace(_ORGAN, organ).replace(_WORDS, words.rstrip(" ."))

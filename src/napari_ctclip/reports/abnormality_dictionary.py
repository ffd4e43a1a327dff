"""Abnormality dictionary: findings by anatomy, with what may serve as a negative for which."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import tomli_w

from napari_ctclip.core.errors import DataError
from napari_ctclip.io.files import write_text
from napari_ctclip.reports.lexicon import Lexicon, load_lexicon
from napari_ctclip.reports.structure import Certainty, DecomposedReport

__all__ = [
    "Abnormality",
    "AbnormalityDictionary",
    "build_dictionary",
    "default_dictionary",
    "findings_by_anatomy",
]

_LARGEST = 512  # the size CT-GLIP's dictionary is ablated up to


@dataclass(frozen=True)
class Abnormality:
    """One finding of one anatomy.

    Attributes
    ----------
    name : str
        Canonical form.
    anatomy : str
        Where.
    synonyms : tuple of str
        Other ways to say it.
    wider : tuple of str
        Findings that are true whenever this one is.
    related : tuple of str
        Findings that often mean the same.
    frequency : int
        Reports of the corpus that hold it; 0 in the shipped dictionary.
    """

    name: str
    anatomy: str
    synonyms: tuple[str, ...] = ()
    wider: tuple[str, ...] = ()
    related: tuple[str, ...] = ()
    frequency: int = 0


@dataclass(frozen=True)
class AbnormalityDictionary:
    """Findings by name, as CT-GLIP draws its negatives from.

    References
    ----------
    Lin et al. 2024 (arXiv 2404.15272), section 3: an abnormality dictionary gives the
    image-to-text contrast more and other negatives than a batch holds.
    """

    entries: Mapping[str, Abnormality]

    def of_anatomy(self, anatomy: str) -> tuple[Abnormality, ...]:
        """Return the findings of an anatomy, most frequent first."""
        own = [entry for entry in self.entries.values() if entry.anatomy == anatomy]
        return tuple(sorted(own, key=lambda entry: -entry.frequency))

    def canonical(self, text: str) -> str:
        """Return the name of the finding that a text is a synonym of; ``""`` if there is none."""
        return self._names.get(_key(text), "")

    def negatives(
        self, anatomy: str, true: Collection[str], *, count: int, rng: np.random.Generator
    ) -> tuple[str, ...]:
        """Return findings of an anatomy that a study with the true ones surely does not have.

        Parameters
        ----------
        anatomy : str
            Where.
        true : collection of str
            What the study has there, as names or synonyms.
        count : int
            How many; all there are if fewer.
        rng : numpy.random.Generator
            Draws; the same state gives the same findings.

        Notes
        -----
        A true finding, its synonyms, what is wider or narrower, and what often means the same, are
        never drawn: they would be false negatives.
        """
        barred = {name for text in true for name in self.kin(self.canonical(text) or text)}
        free = sorted(e.name for e in self.of_anatomy(anatomy) if e.name not in barred)
        if len(free) <= count:
            return tuple(free)
        drawn = rng.choice(len(free), size=count, replace=False)
        return tuple(free[int(index)] for index in drawn)

    def kin(self, name: str) -> set[str]:
        """Return a finding with everything that must not be its negative."""
        own = self.entries.get(name, Abnormality(name, ""))
        said = {_key(text) for text in (own.name, *own.synonyms)}
        kin = {name, *own.wider, *own.related}
        for entry in self.entries.values():
            same_words = not said.isdisjoint(_key(text) for text in entry.synonyms)
            if same_words or name in (*entry.wider, *entry.related):
                kin.add(entry.name)
        return kin

    def save(self, file: Path) -> None:
        """Write the dictionary as TOML to edit: [anatomy."finding"]."""
        table: dict[str, dict[str, dict[str, object]]] = {}
        for entry in self.entries.values():
            table.setdefault(entry.anatomy, {})[entry.name] = {
                "frequency": entry.frequency,
                "synonyms": list(entry.synonyms),
                "wider": list(entry.wider),
                "related": list(entry.related),
            }
        write_text(file, tomli_w.dumps(table))

    @classmethod
    def load(cls, file: Path) -> AbnormalityDictionary:
        """Return a dictionary that was written by ``save`` and perhaps edited.

        Raises
        ------
        DataError
            If the file is missing or is no such dictionary.
        """
        try:
            table = tomllib.loads(file.read_text("utf-8"))
            entries = [
                Abnormality(
                    name,
                    anatomy,
                    synonyms=tuple(entry.get("synonyms", ())),
                    wider=tuple(entry.get("wider", ())),
                    related=tuple(entry.get("related", ())),
                    frequency=int(entry.get("frequency", 0)),
                )
                for anatomy, group in table.items()
                for name, entry in group.items()
            ]
        except FileNotFoundError:
            raise DataError(f"{file}: no such file") from None
        except (ValueError, AttributeError, TypeError) as error:
            raise DataError(f"{file}: not an abnormality dictionary: {error}") from error
        return cls({entry.name: entry for entry in entries})

    @cached_property
    def _names(self) -> dict[str, str]:
        names = {_key(s): entry.name for entry in self.entries.values() for s in entry.synonyms}
        return names | {_key(name): name for name in self.entries}


def default_dictionary(lexicon: Lexicon | None = None) -> AbnormalityDictionary:
    """Return the dictionary that ships with the package: every abnormal finding of the lexicon."""
    words = load_lexicon() if lexicon is None else lexicon
    return AbnormalityDictionary(
        {
            entry.name: Abnormality(
                entry.name,
                entry.anatomy,
                tuple(term for term in entry.terms if term != entry.name),
                tuple(sorted(words.ancestors(entry.name))),
                entry.related,
            )
            for entry in words.findings.values()
            if not entry.normal
        }
    )


def build_dictionary(
    reports: Iterable[DecomposedReport],
    *,
    least: int = 5,
    largest: int = _LARGEST,
    lexicon: Lexicon | None = None,
) -> AbnormalityDictionary:
    """Return the findings of a corpus with their frequency, rare ones cut off.

    Parameters
    ----------
    reports : iterable of DecomposedReport
        The corpus.
    least : int
        Reports a finding must be present in. Ours: 5.
    largest : int
        Entries kept, the most frequent.
    lexicon : Lexicon, optional
        The lexicon the reports were read with.
    """
    known = default_dictionary(lexicon).entries
    counts: Counter[str] = Counter()
    for report in reports:
        counts.update(
            name
            for name, certainty in report.finding_certainties.items()
            if certainty is Certainty.PRESENT and name in known
        )
    kept = [(name, n) for name, n in counts.most_common(largest) if n >= least]
    return AbnormalityDictionary({name: replace(known[name], frequency=n) for name, n in kept})


def findings_by_anatomy(
    dictionary: AbnormalityDictionary | None = None, *, most: int = 0
) -> dict[str, tuple[str, ...]]:
    """Return anatomy -> names of its findings, for a menu; the first ``most`` if that is not 0."""
    known = default_dictionary() if dictionary is None else dictionary
    anatomies = dict.fromkeys(entry.anatomy for entry in known.entries.values())
    names = {a: tuple(entry.name for entry in known.of_anatomy(a)) for a in anatomies}
    return {anatomy: found[:most] if most else found for anatomy, found in names.items()}


def _key(text: str) -> str:
    return " ".join(load_lexicon().folding.words(text))

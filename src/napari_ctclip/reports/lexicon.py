"""Lexicon: the words reports use, read from editable TOML files and made ready for matching."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from napari_ctclip.core.errors import DataError
from napari_ctclip.reports.folding import Folding
from napari_ctclip.reports.phrases import PhraseMatcher

__all__ = ["FindingEntry", "Lexicon", "Site", "load_lexicon"]

_LISTS = ("terms", "heads", "vague", "sites", "parents", "related")
_FIELDS = {*_LISTS, "default", "normal"}


@dataclass(frozen=True)
class Site:
    """A named anatomical site.

    Attributes
    ----------
    name : str
        E.g. ``"pericardium"``.
    anatomies : tuple of str
        Where it belongs, e.g. ``("heart",)``.
    terms : tuple of str
        What reports call it.
    locates : bool
        It only tells where a finding is; the sentence is not about it.
    """

    name: str
    anatomies: tuple[str, ...]
    terms: tuple[str, ...]
    locates: bool = False


@dataclass(frozen=True)
class FindingEntry:
    """A finding of one anatomy with the words for it; fields as in ``findings_chest.toml``."""

    name: str
    anatomy: str
    terms: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    vague: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    related: tuple[str, ...] = ()
    default: bool = False
    normal: bool = False


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Sites, findings and cues of reports.

    Attributes
    ----------
    sites : mapping of str to Site
        Sites by name.
    findings : mapping of str to FindingEntry
        Findings by canonical name.
    cues : mapping
        ``cues.toml`` as read.
    label_sets : mapping
        Label set -> label -> the findings that make it true (``label_sets.toml``).
    folding : Folding
        How spellings become one.
    """

    sites: Mapping[str, Site]
    findings: Mapping[str, FindingEntry]
    cues: Mapping[str, Mapping[str, tuple[str, ...]]]
    label_sets: Mapping[str, Mapping[str, tuple[str, ...]]]
    folding: Folding

    @cached_property
    def site_matcher(self) -> PhraseMatcher[str]:
        """Finds the names of sites."""
        pairs = ((term, site.name) for site in self.sites.values() for term in site.terms)
        return PhraseMatcher(pairs, self.folding)

    @cached_property
    def finding_matcher(self) -> PhraseMatcher[tuple[str, str]]:
        """Finds ``("term" | "head" | "vague", finding)``."""
        pairs = (
            (term, (kind, entry.name))
            for entry in self.findings.values()
            for kind, terms in (
                ("term", entry.terms),
                ("head", entry.heads),
                ("vague", entry.vague),
            )
            for term in terms
            if kind != "term" or not self.is_place_and_head(entry, term)
        )
        return PhraseMatcher(pairs, self.folding)

    @cached_property
    def scope_matcher(self) -> PhraseMatcher[str]:
        """Finds cues of negation and doubt."""
        return self._cue_matcher("scope")

    @cached_property
    def clause_matcher(self) -> PhraseMatcher[str]:
        """Finds what parts clauses."""
        return self._cue_matcher("clauses")

    @cached_property
    def status_matcher(self) -> PhraseMatcher[str]:
        """Finds words for normal and abnormal."""
        return self._cue_matcher("status")

    @cached_property
    def change_matcher(self) -> PhraseMatcher[str]:
        """Finds words of comparison."""
        return self._cue_matcher("change")

    @cached_property
    def relation_matcher(self) -> PhraseMatcher[str]:
        """Finds words that place one thing beside another."""
        return self._cue_matcher("relation")

    @cached_property
    def known_words(self) -> frozenset[str]:
        """Every folded word the lexicon holds, English function words included."""
        terms = [t for site in self.sites.values() for t in site.terms]
        terms += [
            t
            for entry in self.findings.values()
            for t in (*entry.terms, *entry.heads, *entry.vague)
        ]
        for group, kinds in self.cues.items():
            terms += [t for kind, ts in kinds.items() for t in ts if (group, kind) != _FOREIGN]
        return frozenset(word for term in terms for word in self.folding.words(term))

    @cached_property
    def foreign_words(self) -> frozenset[str]:
        """Function words of other languages."""
        terms = self.cues["language"]["foreign"]
        return frozenset(word for term in terms for word in self.folding.words(term))

    def findings_of(self, anatomy: str) -> tuple[FindingEntry, ...]:
        """Return the findings of an anatomy."""
        return tuple(entry for entry in self.findings.values() if entry.anatomy == anatomy)

    def is_place_and_head(self, entry: FindingEntry, term: str) -> bool:
        """Return whether a term is only a site and a head: "pericardial effusion".

        Read as a head it also means the sites joined to it: "pleural or pericardial effusion".
        """
        tokens = self.folding.tokens(term)
        sites = [
            " ".join(token.word for token in tokens[: hit.first])
            for hit in self._head_matcher.find(tokens)
            if hit.last == len(tokens) - 1 and entry.name in hit.values
        ]
        own = (term for site in entry.sites for term in self.sites[site].terms)
        return bool(sites) and any(" ".join(self.folding.words(p)) in sites for p in own)

    def anatomies_of(self, sites: Iterable[str]) -> tuple[str, ...]:
        """Return the anatomies of sites, each once."""
        return tuple(dict.fromkeys(a for site in sites for a in self.sites[site].anatomies))

    def ancestors(self, finding: str) -> frozenset[str]:
        """Return every wider finding of a finding."""
        found: set[str] = set()
        todo = list(self.findings[finding].parents)
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                todo.extend(self.findings[name].parents)
        return frozenset(found)

    @cached_property
    def _head_matcher(self) -> PhraseMatcher[str]:
        entries = self.findings.values()
        pairs = ((head, e.name) for e in entries for head in (*e.heads, *e.vague))
        return PhraseMatcher(pairs, self.folding)

    def _cue_matcher(self, group: str) -> PhraseMatcher[str]:
        pairs = ((term, kind) for kind, terms in self.cues[group].items() for term in terms)
        return PhraseMatcher(pairs, self.folding)


_FOREIGN = ("language", "foreign")


@lru_cache(maxsize=4)
def load_lexicon(folder: Path | None = None) -> Lexicon:
    """Return the lexicon of a folder of TOML files; without one, that of the package.

    Raises
    ------
    DataError
        If a file is missing, is not TOML, or names a site, parent or field that does not exist.
    """
    root = files("napari_ctclip.reports") / "lexicon" if folder is None else folder
    if folder is not None and not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected a copy of the lexicon's TOML files")
    sites = {
        name: Site(
            name, tuple(entry["anatomies"]), tuple(entry["terms"]), entry.get("locates", False)
        )
        for name, entry in _read(root / "sites.toml").items()
    }
    findings: dict[str, FindingEntry] = {}
    for file in sorted(root.iterdir(), key=lambda f: f.name):
        if file.name.startswith("findings_") and file.name.endswith(".toml"):
            findings.update(_entries(file))
    lexicon = Lexicon(
        sites=sites,
        findings=findings,
        cues=_read(root / "cues.toml"),
        label_sets=_read(root / "label_sets.toml"),
        folding=Folding(**_read(root / "spelling.toml")),
    )
    _check(lexicon, str(root))
    return lexicon


def _read(file: Traversable | Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise DataError(f"{file}: the lexicon lacks this file; copy the package's folder") from None
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{file}: not valid TOML: {error}") from error


def _entries(file: Traversable | Path) -> Iterable[tuple[str, FindingEntry]]:
    for anatomy, group in _read(file).items():
        for name, entry in group.items():
            unknown = set(entry) - _FIELDS
            if unknown:
                raise DataError(
                    f"{file}: [{anatomy}.{name!r}] has the unknown field {min(unknown)!r}; "
                    f"expected some of {', '.join(sorted(_FIELDS))}"
                )
            lists = {key: tuple(entry.get(key, ())) for key in _LISTS}
            yield (
                name,
                FindingEntry(
                    name,
                    anatomy,
                    **lists,
                    default=entry.get("default", False),
                    normal=entry.get("normal", False),
                ),
            )


def _check(lexicon: Lexicon, where: str) -> None:
    for entry in lexicon.findings.values():
        for kind, names, known in (
            ("site", entry.sites, lexicon.sites),
            ("finding", (*entry.parents, *entry.related), lexicon.findings),
        ):
            missing = [name for name in names if name not in known]
            if missing:
                raise DataError(f"{where}: {entry.name!r} names the unknown {kind} {missing[0]!r}")
    for label_set, labels in lexicon.label_sets.items():
        for label, names in labels.items():
            missing = [name for name in names if name not in lexicon.findings]
            if missing:
                raise DataError(
                    f"{where}: label {label!r} of {label_set} names the unknown finding "
                    f"{missing[0]!r}"
                )

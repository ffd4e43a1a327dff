"""Sites: which sites a sentence names, and where the finding behind a general word lies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from napari_ctclip.reports.clauses import Clauses
from napari_ctclip.reports.folding import TokenLine
from napari_ctclip.reports.lexicon import FindingEntry, Lexicon

__all__ = ["Sites", "sites_of"]

_JOINING = frozenset(
    {"and", ",", "or", "/", "the", "both", "bilateral", "right", "left", "in", "of"}
)
_JOINING |= {"ascending", "descending", "thoracic", "abdominal"}
_BESIDE_REACH = 5  # Ours: "adjacent to the wall of the descending aorta"


@dataclass(frozen=True)
class _Site:
    first: int
    last: int
    site: str
    beside: bool
    locates: bool

    @property
    def aside(self) -> bool:
        """Whether it only tells where something else is."""
        return self.beside or self.locates


@dataclass(frozen=True)
class Sites:
    """The sites of a sentence.

    Attributes
    ----------
    named : tuple
        Sites with their tokens, in order; ``beside`` where they only locate something else.
    carried : tuple of str
        Sites of the sentence before, used where this one names none.
    """

    named: tuple[_Site, ...]
    carried: tuple[str, ...]
    words: tuple[str, ...]
    clauses: Clauses

    @property
    def subjects(self) -> tuple[str, ...]:
        """Sites the sentence is about: those not merely beside it, if there are any."""
        own = [site.site for site in self.named if not site.aside]
        return tuple(dict.fromkeys(own or [p.site for p in self.named if not p.locates]))

    def entries_at(
        self, first: int, last: int, entries: Sequence[FindingEntry]
    ) -> tuple[tuple[FindingEntry, ...], str]:
        """Return which findings a general word at these tokens means, and why.

        The nearest fitting site decides: in the clause, else in the sentence, else in the sentence
        before; sites joined to it by "and" count with it. A word whose sentence names only other
        sites means none of them; one without any site means the default finding.
        """
        allowed = {site for entry in entries for site in entry.sites}
        fitting = [site for site in self.named if site.site in allowed]
        clause = self.clauses.numbers[first]
        for where, pool in (
            ("clause", [p for p in fitting if self.clauses.numbers[p.first] == clause]),
            ("sentence", fitting),
        ):
            nearest = self._nearest(first, last, pool)
            if nearest is not None:
                sites = self._joined(nearest, pool)
                return _holding(entries, sites), f"{self._said(nearest)!r} in the {where}"
        if all(site.aside for site in self.named):
            known = [site for site in self.carried if site in allowed]
            if known:
                return _holding(entries, known), f"{known[0]} in the sentence before"
            defaults = tuple(entry for entry in entries if entry.default)
            return defaults, "the usual site"
        return (), "only other sites are named"

    def _nearest(self, first: int, last: int, pool: Sequence[_Site]) -> _Site | None:
        return min(
            pool,
            key=lambda p: (p.beside, max(p.first - last, first - p.last, 0), -p.last),
            default=None,
        )

    def _joined(self, nearest: _Site, pool: Iterable[_Site]) -> set[str]:
        sites = {nearest.site}
        reach = [nearest]
        for site in sorted(pool, key=lambda p: abs(p.first - nearest.first)):
            if any(self._is_joined(site, other) for other in reach):
                sites.add(site.site)
                reach.append(site)
        return sites

    def _is_joined(self, a: _Site, b: _Site) -> bool:
        low, high = sorted((a, b), key=lambda p: p.first)
        return all(word in _JOINING for word in self.words[low.last + 1 : high.first])

    def _said(self, site: _Site) -> str:
        return " ".join(self.words[site.first : site.last + 1])


def sites_of(
    tokens: TokenLine, clauses: Clauses, carried: tuple[str, ...], lexicon: Lexicon
) -> Sites:
    """Return the sites a sentence names."""
    beside_ends = [
        hit.last for hit in lexicon.relation_matcher.find(tokens) if "beside" in hit.values
    ]
    named = tuple(
        _Site(
            hit.first,
            hit.last,
            site,
            any(0 < hit.first - end <= _BESIDE_REACH for end in beside_ends),
            lexicon.sites[site].locates,
        )
        for hit in lexicon.site_matcher.find(tokens)
        for site in hit.values
    )
    return Sites(named, carried, tuple(token.word for token in tokens), clauses)


def _holding(entries: Iterable[FindingEntry], sites: Iterable[str]) -> tuple[FindingEntry, ...]:
    wanted = set(sites)
    return tuple(entry for entry in entries if wanted & set(entry.sites))

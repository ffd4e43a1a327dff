"""Status: whether a sentence says normal or abnormal, and how it compares to a prior one."""

from __future__ import annotations

from collections.abc import Sequence

from napari_ctclip.reports.certainty import Scopes
from napari_ctclip.reports.folding import TokenLine
from napari_ctclip.reports.lexicon import Lexicon
from napari_ctclip.reports.structure import (
    Certainty,
    Change,
    FindingMention,
    Status,
)

__all__ = ["change_of", "status_of"]


def status_of(
    tokens: TokenLine,
    findings: Sequence[FindingMention],
    scopes: Scopes,
    lexicon: Lexicon,
) -> tuple[Status, str]:
    """Return what a sentence says of its anatomies, and why.

    A finding that is present or suspected makes it abnormal; so does a word like "irregular" that
    nothing denies. What is denied, and words like "preserved", make it normal.
    """
    for mention in findings:
        abnormal = not lexicon.findings[mention.name].normal
        if abnormal and mention.certainty is not Certainty.ABSENT:
            return Status.ABNORMAL, f"{mention.name} {mention.certainty}"
    normal = next((f"{m.name} absent" for m in findings if m.certainty is Certainty.ABSENT), "")
    for hit in lexicon.status_matcher.find(tokens):
        words = " ".join(token.word for token in tokens[hit.first : hit.last + 1])
        certainty, said = scopes.certainty_at(hit.first, hit.last)
        denied = certainty is Certainty.ABSENT
        if "abnormal" in hit.values and not denied:
            return Status.ABNORMAL, f"{words!r} {said}"
        if "abnormal" in hit.values or not denied:  # "no normal ..." says neither
            normal = normal or f"{words!r} {said}"
    if normal:
        return Status.NORMAL, normal
    return Status.UNSTATED, "nothing says normal or abnormal"


def change_of(tokens: TokenLine, lexicon: Lexicon) -> Change | None:
    """Return how a sentence compares its finding to a prior examination; None if it does not."""
    kinds = [hit.values for hit in lexicon.change_matcher.find(tokens)]
    flat = {kind for values in kinds for kind in values}
    for kind in ("resolved", "new", "unchanged", "larger", "smaller"):
        if kind in flat or ("compared" in flat and f"{kind}_if_compared" in flat):
            return Change(kind)
    advised = any(token.word == "recommended" for token in tokens)
    return Change.COMPARED if "compared" in flat and not advised else None

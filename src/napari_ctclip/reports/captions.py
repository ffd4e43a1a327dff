"""Captions: what a report says of one anatomy, and whether that is normal."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["OrganCaption", "organ_caption", "read_caption"]

_REMOVED = str.maketrans("", "", "\"'()")


@dataclass(frozen=True)
class OrganCaption:
    """Text of one anatomy of one patient.

    Attributes
    ----------
    text : str
        What the text encoder sees.
    normal : bool
        Whether the report's impression leaves the anatomy out.
    abnormalities : frozenset of str
        Names of the abnormalities it describes, where they are known: no text about one of them is
        a negative of this one.
    doubtful : frozenset of str
        Names of those that may be there too: described as possible, narrower than one it
        describes, or often the same. They are neither true nor untrue.
    """

    text: str
    normal: bool
    abnormalities: frozenset[str] = frozenset()
    doubtful: frozenset[str] = frozenset()


def organ_caption(anatomy: str, *, findings: str = "", impression: str = "") -> str:
    """Return the caption of an anatomy from what findings and impression say of it.

    An anatomy that the impression does not mention is normal, and the caption says so first.

    References
    ----------
    Shui et al. 2025 (arXiv 2501.14548), section 3: reports taken apart by anatomy; anatomies that
    the impression does not mention count as normal. The phrasing is that of its CT-RATE release.
    """
    first = impression.strip() or _normal_prefix(anatomy)
    return " ".join(part for part in (first, findings.strip()) if part)


def read_caption(caption: str, anatomy: str) -> OrganCaption:
    """Return the text to encode and whether it is normal.

    The sentence that marks a normal anatomy is dropped when a real description follows it, so that
    the text encoder sees that one; quotes and parentheses are removed.
    """
    prefix = _normal_prefix(anatomy)
    normal = caption.startswith(prefix)
    described = caption.removeprefix(prefix) if normal else caption
    text = described if described.strip() else caption
    return OrganCaption(text.translate(_REMOVED), normal)


def _normal_prefix(anatomy: str) -> str:
    return f"{anatomy} shows no significant abnormalities."

"""Vocabulary: which findings can be asked of which organ, and how else they are called."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from napari_ctclip.core.anatomy import MAJOR_ANATOMIES, anatomy_in_text, major_anatomy, members
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.reports.abnormality_dictionary import (
    AbnormalityDictionary,
    default_dictionary,
    findings_by_anatomy,
)

__all__ = ["dictionary_anatomies", "finding_prompts", "shipped_dictionary", "synonyms_of"]

_COARSE = {
    "trachea_and_airways": ("trachea",),
    "mediastinum": (
        "mediastinum", "lymph_nodes", "heart", "aorta", "pulmonary_artery", "esophagus", "thyroid",
    ),
    "bone": ("bone",),
    "thoracic_cavity": ("lung",),
}  # fmt: skip
"""Regions that no single anatomy of the dictionary covers."""


@lru_cache(maxsize=1)
def shipped_dictionary() -> AbnormalityDictionary:
    """Return the dictionary of the package, read once."""
    return default_dictionary()


def dictionary_anatomies(
    organ: str, dictionary: AbnormalityDictionary | None = None
) -> tuple[str, ...]:
    """Return the anatomies of the dictionary that an organ of a label map stands for.

    ``lung_left`` gives ``lung``; a mediastinum holds heart, aorta, lymph nodes; ``body``, tissue
    that no mask names, may be any.
    """
    known = tuple(findings_by_anatomy(dictionary or shipped_dictionary()))
    if organ in ("", "body"):
        return known
    wanted = {*_COARSE.get(organ, ()), major_anatomy(organ), organ, *members(organ, known)}
    if organ in ("bone", "vertebrae", "ribs"):
        wanted |= {n for n in MAJOR_ANATOMIES if members("bone", MAJOR_ANATOMIES[n])} | {"bone"}
    return tuple(name for name in known if name in wanted) or known


def finding_prompts(
    organ: str,
    *,
    suggested: Sequence[str] = (),
    dictionary: AbnormalityDictionary | None = None,
) -> tuple[tuple[Prompt, ...], tuple[Prompt, ...]]:
    """Return the prompts for an organ, and all others of the dictionary.

    Parameters
    ----------
    organ : str
        The name of the organ in a label map.
    suggested : sequence of str
        The findings that the model knows; those of this organ go first.
    dictionary : AbnormalityDictionary, optional
        The shipped one if left out.
    """
    known = dictionary or shipped_dictionary()
    wanted = dictionary_anatomies(organ, known)
    groups = findings_by_anatomy(known)
    names = {name: anatomy for anatomy, found in groups.items() for name in found}
    by_text = {text: names.get(known.canonical(text), "") for text in suggested}
    by_text = {text: a or major_anatomy(anatomy_in_text(text)) for text, a in by_text.items()}
    own = [text for text, anatomy in by_text.items() if anatomy in wanted]
    said = {known.canonical(text) or text for text in own}
    own += [n for a in wanted for n in groups.get(a, ()) if n not in said]
    others = [n for a, found in groups.items() if a not in wanted for n in found]
    return tuple(Prompt(text) for text in own), tuple(Prompt(text) for text in others)


def synonyms_of(text: str, dictionary: AbnormalityDictionary | None = None) -> tuple[str, ...]:
    """Return the other names of a finding, ``text`` itself left out; empty if it is unknown."""
    known = dictionary or shipped_dictionary()
    name = known.canonical(text)
    if not name:
        return ()
    said = (name, *known.entries[name].synonyms)
    return tuple(word for word in dict.fromkeys(said) if word.lower() != text.lower())

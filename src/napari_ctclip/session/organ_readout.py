"""Organ read-out: which organ the model calls each organ of the masks, in numbers and in words."""

from __future__ import annotations

from collections.abc import Sequence

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.organ_naming import OrganNaming
from napari_ctclip.encoding.work import PLAIN, Work
from napari_ctclip.session.session import Session

__all__ = ["agreement_words", "naming_mark", "naming_words", "read_organ_names"]

_MOST_NAMES = 3


def read_organ_names(session: Session, work: Work = PLAIN) -> tuple[OrganNaming, ...]:
    """Return what the model calls each organ of the masks; it may run on any thread.

    It chooses among the organs whose names it was trained with; a model without any chooses among
    the organs of the masks, which it was never trained to name.

    Raises
    ------
    CtClipError
        If there are no organ masks, the scan is not encoded, or the model cannot name organs.
    Cancelled
        If the work was stopped.
    """
    ready = session.ready()
    masks, model = ready.study.organ_masks, ready.model
    if masks is None:
        raise CtClipError("there is no organ to name; give organ masks first")
    from napari_ctclip.scoring.organ_naming import name_organs, organs_of_masks, trained_names

    names = trained_names(model) or organs_of_masks(masks)
    return name_organs(model, ready.encoding.scan, masks, names=names, work=work)


def naming_words(naming: OrganNaming) -> str:
    """Return the three organs that fit best, e.g. ``"lung 0.83, heart 0.41, aorta 0.30"``."""
    return ", ".join(
        f"{anatomy_label(name)} {cosine:.2f}" for name, cosine in naming.ranked[:_MOST_NAMES]
    )


def naming_mark(naming: OrganNaming) -> str:
    """Return what the model calls an organ, marked: ``"lung"``, ``"≠ heart"``, ``"(heart)"``.

    ``≠`` stands where it is not the mask's organ, brackets where the mask's organ has no name among
    those asked for.
    """
    called = anatomy_label(naming.called)
    if naming.agrees is None:
        return f"({called})"
    return called if naming.agrees else f"≠ {called}"


def agreement_words(namings: Sequence[OrganNaming]) -> str:
    """Return how many organs the model calls as their masks do."""
    judged = [naming.agrees for naming in namings if naming.agrees is not None]
    words = f"The model calls {sum(judged)} of {len(judged)} organs as their masks do"
    without = len(namings) - len(judged)
    return f"{words}; {without} have no name among those it knows." if without else f"{words}."

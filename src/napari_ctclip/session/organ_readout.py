"""Organ read-out: which organ the model calls each organ of the masks, in numbers and in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.organ_naming import OrganNaming
from napari_ctclip.session.session import Session

if TYPE_CHECKING:
    # torch comes in with these
    from napari_ctclip.encoding.encoding import StopRequested

__all__ = ["agreement_words", "naming_mark", "naming_words", "read_organ_names"]

_MOST_NAMES = 3


def read_organ_names(
    session: Session, *, should_stop: StopRequested | None = None
) -> tuple[OrganNaming, ...]:
    """Return what the model calls each organ of the masks; it may run on any thread.

    It chooses among the organs whose names it was trained with; a model without any is asked for
    the organs of the masks, and was never taught what it is asked.

    Raises
    ------
    CtClipError
        If there are no organ masks, the scan is not encoded, or the model cannot name organs.
    Cancelled
        If ``should_stop`` answered True.
    """
    study, model, encoding = session.study, session.model, session.encoding
    if model is None or encoding is None:
        raise CtClipError("the scan is not encoded yet; press Encode (or wait until it is done)")
    if study is None or study.organ_masks is None:
        raise CtClipError(
            "there is no organ to name; give organ masks first (Data tab, or --masks)"
        )
    from napari_ctclip.scoring.organ_naming import name_organs, organs_of_masks, trained_names

    names = trained_names(model) or organs_of_masks(study.organ_masks)
    return name_organs(
        model, encoding.scan, study.organ_masks, names=names, should_stop=should_stop
    )


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
    told = f"The model calls {sum(judged)} of {len(judged)} organs as their masks do"
    without = len(namings) - len(judged)
    return (
        f"{told}; {without} have no name among those it was asked for." if without else f"{told}."
    )

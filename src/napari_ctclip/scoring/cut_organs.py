"""Cut organs: those that the scan ends in, so that an answer is about a part of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.regions.token_grid import TokenRegions

__all__ = ["cut_notices", "cut_organs"]

_CUT = 0.75
"""Ours: of an organ's widest section. A chest scan may end in the bases of the lungs, at about half
of it, and shows them all the same."""

_SEEN_WITH = {"thoracic_cavity": "lung"}
"""The hull of the lungs is always widest at its end."""

_WHOLE = (
    "lung", "heart", "liver", "spleen", "kidney", "pancreas", "stomach", "gallbladder", "adrenal",
    "urinary_bladder", "prostate", "thyroid", "brain",
)  # fmt: skip
"""Beginnings of the names of what a scan can hold as a whole; it always cuts vessels and bones."""


def cut_organs(regions: TokenRegions, inside: npt.NDArray[np.bool_]) -> tuple[str, ...]:
    """Return the organs that are about as wide where the scan ends as anywhere.

    Parameters
    ----------
    regions : TokenRegions
        Their tokens.
    inside : ndarray of bool, shape (d, h, w)
        Tokens in the body and the field of view.
    """
    if not inside.any():
        return ()
    ends = [(int(used.min()), int(used.max())) for used in np.nonzero(inside)]
    cut = {
        name
        for name, tokens in regions.tokens.items()
        if name.startswith(_WHOLE) and _share_at(ends, tokens, inside.shape) >= _CUT
    }
    return tuple(name for name in regions.tokens if name in cut or _SEEN_WITH.get(name) in cut)


def cut_notices(
    anatomy: str, regions: TokenRegions | None, inside: npt.NDArray[np.bool_]
) -> tuple[Notice, ...]:
    """Return what the user should know of an answer about an anatomy, if the scan cuts it."""
    if regions is None or anatomy not in cut_organs(regions, inside):
        return ()
    message = (
        f"the scan ends where the {anatomy_label(anatomy)} is widest: only a part of it is seen, "
        "while models and their probabilities were fitted to whole ones"
    )
    return (Notice(Severity.WARNING, "organ-cut-by-scan", message),)


def _share_at(
    ends: list[tuple[int, int]], tokens: npt.NDArray[np.intp], shape: tuple[int, ...]
) -> float:
    """Return an organ's section at the scan's ends, of its widest along the same axis."""
    shares = [0.0]
    for places, (first, last), size in zip(
        np.unravel_index(tokens, shape), ends, shape, strict=True
    ):
        sections = np.bincount(places, minlength=size)
        shares += [sections[first] / sections.max(), sections[last] / sections.max()]
    return float(max(shares))

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
        The tokens of the organs.
    inside : ndarray of bool, shape (d, h, w)
        The tokens in the body and the field of view.
    """
    return tuple(name for name in regions.tokens if _is_cut(name, regions, inside))


def cut_notices(
    anatomy: str, regions: TokenRegions | None, inside: npt.NDArray[np.bool_]
) -> tuple[Notice, ...]:
    """Return what the user should know of an answer about an anatomy, if the scan cuts it."""
    if regions is None or not _is_cut(anatomy, regions, inside):
        return ()
    message = (
        f"the scan ends where the {anatomy_label(anatomy)} is widest: only a part of it is seen, "
        "while models and their probabilities were fitted to whole ones"
    )
    return (Notice(Severity.WARNING, "organ-cut-by-scan", message),)


def _is_cut(name: str, regions: TokenRegions, inside: npt.NDArray[np.bool_]) -> bool:
    name = _SEEN_WITH.get(name, name)
    tokens = regions.tokens.get(name, ())
    if not name.startswith(_WHOLE) or not len(tokens) or not inside.any():
        return False
    for axis, positions in enumerate(np.unravel_index(tokens, inside.shape)):
        used = np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis)))
        sections = np.bincount(positions, minlength=inside.shape[axis])
        if max(sections[used[0]], sections[used[-1]]) >= _CUT * sections.max():
            return True
    return False

"""Strict comparison of weights with the model they are meant for; every difference is named."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from napari_ctclip.core.errors import CheckpointMismatch

__all__ = ["require_same_tensors"]

_LISTED = 5  # names in a message


def require_same_tensors(
    expected: Mapping[str, Tensor], found: Mapping[str, Tensor], *, source: str, advice: str
) -> None:
    """Pass weights with exactly the expected names and shapes.

    Parameters
    ----------
    expected, found : mapping of str to Tensor
        State dicts.
    source : str
        The file, for the message.
    advice : str
        How to mend it.

    Raises
    ------
    CheckpointMismatch
        Naming what is missing, unexpected and of another shape.
    """
    problems = {
        "missing": sorted(set(expected) - set(found)),
        "unexpected": sorted(set(found) - set(expected)),
        "of another shape": [
            f"{name} (expected {tuple(expected[name].shape)}, got {tuple(found[name].shape)})"
            for name in sorted(set(expected) & set(found))
            if expected[name].shape != found[name].shape
        ],
    }
    told = [f"{len(names)} {kind}: {_listed(names)}" for kind, names in problems.items() if names]
    if told:
        raise CheckpointMismatch(f"{source} does not fit the model: {'; '.join(told)}; {advice}")


def _listed(names: list[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")

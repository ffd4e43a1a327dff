"""Weights read without pickle, and held against the model they are meant for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from napari_ctclip.core.errors import CheckpointMismatch

__all__ = ["read_safetensors", "require_same_tensors"]

_LISTED = 5  # names in a message
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
"""How files of torch.save and pickles begin."""


def read_safetensors(file: Path, *, advice: str) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file.

    Parameters
    ----------
    advice : str
        How to mend it, for the message.

    Raises
    ------
    CheckpointMismatch
        If it is cut short, or another kind of file; a pickle is not opened.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        with file.open("rb") as stream:
            start = stream.read(4)
        if start.startswith(_PICKLES):
            raise CheckpointMismatch(
                f"{file} is a PyTorch pickle under another name, expected safetensors; it was not "
                f"opened, because a pickle can run code; {advice}"
            )
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise CheckpointMismatch(
            f"{file} is damaged (cut short?) or no safetensors file ({error}); {advice}"
        ) from error


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

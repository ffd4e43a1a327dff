"""The folder of a published text encoder: configuration and vocabulary, checked."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_ctclip.core.errors import CheckpointMismatch, CtClipError

__all__ = ["require_text_folder", "require_vocabulary_fits"]


def require_text_folder(
    folder: Path | str, *, architecture: str, repository: str, files: Sequence[str]
) -> Path:
    """Pass a folder that holds what a text encoder is built from, and the package that builds it.

    Parameters
    ----------
    folder : Path
        The folder of the text encoder.
    architecture : str
        What the message calls it, for example "BERT".
    repository : str
        Where the files come from, on the Hugging Face hub.
    files : sequence of str
        What the folder must hold.

    Raises
    ------
    CtClipError
        If transformers is not installed.
    CheckpointMismatch
        If the folder lacks a file.
    """
    folder = Path(folder)
    if importlib.util.find_spec("transformers") is None:
        raise CtClipError(
            f"a {architecture} text encoder needs the transformers package; "
            'install it with: pip install "napari-ctclip[bert]"'
        )
    missing = [name for name in files if not (folder / name).is_file()]
    if missing:
        raise CheckpointMismatch(
            f"{folder}: expected a text encoder folder with {' and '.join(files)}; missing "
            f"{', '.join(missing)}; download {repository} and give its folder"
        )
    return folder


def require_vocabulary_fits(folder: Path, tokenizer: Any, config: Any, *, file: str) -> None:
    """Pass a tokenizer with no more tokens than the model has vectors for.

    Raises
    ------
    CheckpointMismatch
        Naming the vocabulary's ``file`` and both numbers.
    """
    if len(tokenizer) > config.vocab_size:
        raise CheckpointMismatch(
            f"{folder}: {file} has {len(tokenizer)} tokens, config.json allows "
            f"{config.vocab_size}; both must come from the same model"
        )

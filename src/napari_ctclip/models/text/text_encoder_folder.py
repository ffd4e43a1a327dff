"""The folder of a published text encoder: configuration and vocabulary, checked and found."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_ctclip.core.errors import CheckpointMismatch, CtClipError

__all__ = ["cached_text_folder", "require_text_folder", "require_vocabulary_fits"]


def require_text_folder(
    folder: Path | str, *, architecture: str, repository: str, files: Sequence[str]
) -> Path:
    """Pass a folder that holds what a text encoder is built from, and the package that builds it.

    Parameters
    ----------
    folder : Path
        Of the text encoder.
    architecture : str
        As the message calls it, "BERT" say.
    repository : str
        Where the files come from, on the Hugging Face hub.
    files : sequence of str
        What the folder needs.

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
    """Pass a tokenizer with no more pieces than the model has vectors for.

    Raises
    ------
    CheckpointMismatch
        Naming the vocabulary's ``file`` and both numbers.
    """
    if len(tokenizer) > config.vocab_size:
        raise CheckpointMismatch(
            f"{folder}: {file} has {len(tokenizer)} pieces, config.json allows "
            f"{config.vocab_size}; both must come from the same model"
        )


def cached_text_folder(repository: str, files: Sequence[str]) -> Path | None:
    """Return where the Hugging Face cache holds a text encoder's files; nothing is downloaded."""
    from huggingface_hub import try_to_load_from_cache

    found = [try_to_load_from_cache(repository, file) for file in files]
    if not all(isinstance(path, str) for path in found):
        return None
    return Path(str(found[0])).parent

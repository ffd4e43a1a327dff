"""Where an open_clip model lies on this machine: a folder, or the Hugging Face cache."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_ctclip.core.errors import CheckpointMismatch, CtClipError
from napari_ctclip.models.hub.hub_cache import cached_file

__all__ = ["CONFIG_FILE", "WEIGHT_FILES", "OpenClipSource", "is_open_clip", "split_plane"]

CONFIG_FILE = "open_clip_config.json"

_PREFIXES = ("open_clip:", "hf-hub:", "local-dir:")
_PLANES = ("axial", "coronal", "sagittal")
WEIGHT_FILES = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
)
"""In the order of preference."""

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt")


@dataclass(frozen=True, eq=False)
class OpenClipSource:
    """Configuration and weights of a model.

    Attributes
    ----------
    name : str
        What the user calls it.
    config : mapping
        Content of ``open_clip_config.json``, or the same for a built-in architecture.
    weights : Path or None
        None for a model that is to be trained.
    folder : Path or None
        Where a text tower's configuration and tokenizer may lie too.
    """

    name: str
    config: Mapping[str, Any]
    weights: Path | None = None
    folder: Path | None = None

    @classmethod
    def in_folder(cls, folder: Path, *, name: str = "") -> OpenClipSource:
        """Return the model of a folder.

        Raises
        ------
        CheckpointMismatch
            If configuration or weights are missing or damaged.
        """
        file = folder / CONFIG_FILE
        weights = [folder / name for name in WEIGHT_FILES if (folder / name).is_file()]
        if not file.is_file() or not weights:
            missing = CONFIG_FILE if not file.is_file() else " or ".join(WEIGHT_FILES)
            raise CheckpointMismatch(f"{folder} is no open_clip model folder: no {missing} in it")
        try:
            config = json.loads(file.read_text("utf-8"))
            parts = {"vision_cfg", "text_cfg", "embed_dim"} <= set(config["model_cfg"])
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointMismatch(
                f"{file} cannot be read: {type(error).__name__}: {error}"
            ) from error
        if not parts:
            raise CheckpointMismatch(
                f"{file}: model_cfg lacks embed_dim, vision_cfg or text_cfg; copy it again"
            )
        return cls(name or folder.name, config, weights[0], folder)

    def text_folder(self, named: str) -> Path:
        """Return where the configuration of a text tower from Hugging Face lies.

        Raises
        ------
        CtClipError
            If it is not on this machine, or transformers is not installed.
        """
        if importlib.util.find_spec("transformers") is None:
            raise CtClipError(
                f"{self.name} has a BERT text tower, which needs the transformers package; install "
                'it with: pip install "napari-ctclip[bert]"'
            )
        return self._folder_with(("config.json",), named, "configuration of the text tower")

    def tokenizer_folder(self, named: str) -> Path:
        """Return where a tokenizer from Hugging Face lies.

        Raises
        ------
        CtClipError
            If it is not on this machine.
        """
        return self._folder_with(_TOKENIZER_FILES, named, "tokenizer")

    def _folder_with(self, files: Sequence[str], named: str, what: str) -> Path:
        for folder in (self.folder, Path(named)):
            if folder is not None and any((folder / file).is_file() for file in files):
                return folder
        found = cached_file(named, files)
        if found is not None:
            return found.parent
        copied = f", or copy {' or '.join(files)} into {self.folder}" if self.folder else ""
        raise CtClipError(
            f"the {what} of {self.name} ({named}) is not on this machine and is not downloaded "
            f"unasked; get it with: hf download {named}{copied}"
        )


def is_open_clip(name: str) -> bool:
    """Return whether a name or folder is meant for open_clip."""
    bare, _ = split_plane(name)
    return bare.startswith(_PREFIXES) or (Path(bare) / CONFIG_FILE).is_file()


def split_plane(name: str) -> tuple[str, str]:
    """Return a name without its ``@plane``, and the plane; empty if there is none."""
    bare, _, plane = name.rpartition("@")
    return (bare, plane) if plane in _PLANES else (name, "")

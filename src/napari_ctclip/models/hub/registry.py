"""Registry: models known by name, with licence, source and expected input, before any is loaded."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from platformdirs import user_data_path

__all__ = [
    "KNOWN_MODELS",
    "Access",
    "ExpectedInput",
    "KnownModel",
    "ModelFile",
    "ModelState",
    "how_to_get",
    "known_model",
    "models_folder",
]

_TABLE = Path(__file__).with_name("known_models.toml")


class Access(StrEnum):
    """How one comes by a model."""

    BUNDLED = "bundled"
    DOWNLOAD = "download"
    OWN_FILE = "own-file"
    NOT_DONE = "not-done"


class ModelState(StrEnum):
    """What can be done with a model on this machine; the words the user reads."""

    BUNDLED = "bundled"
    HERE = "on this machine"
    DOWNLOADABLE = "can be downloaded"
    OWN_FILE = "bring your own file"
    NOT_DONE = "importer not done"


@dataclass(frozen=True)
class ModelFile:
    """One file of a model.

    Attributes
    ----------
    path : str
        In its repository.
    repository : str
        On the Hugging Face hub; empty for a bundled file.
    revision : str
        Branch or commit.
    to : str
        Where it goes in the model folder.
    sha256 : str
        Public checksum (hex); empty where none is known.
    size_bytes : int
        0 where it is not known.
    """

    path: str
    repository: str = ""
    revision: str = "main"
    to: str = ""
    sha256: str = ""
    size_bytes: int = 0

    @property
    def target(self) -> str:
        """Path in the model folder."""
        return self.to or self.path


@dataclass(frozen=True)
class ExpectedInput:
    """What a model was trained to be shown.

    Attributes
    ----------
    orientation : str
        Axis code; empty where it is not documented.
    spacing_mm : tuple of float
        Along these axes; empty where the model has none of its own.
    windows_hu : tuple of (low, high)
        HU.
    note : str
        What else.
    """

    orientation: str = ""
    spacing_mm: tuple[float, ...] = ()
    windows_hu: tuple[tuple[float, float], ...] = ()
    note: str = ""

    def __str__(self) -> str:
        parts = [f"axes {self.orientation or 'not documented'}"]
        if self.spacing_mm:
            parts.append(" x ".join(f"{s:g}" for s in self.spacing_mm) + " mm")
        if self.windows_hu:
            parts.append("HU " + ", ".join(f"{low:g}..{high:g}" for low, high in self.windows_hu))
        return "; ".join([*parts, self.note] if self.note else parts)


@dataclass(frozen=True)
class KnownModel:
    """A model that is known by name.

    Attributes
    ----------
    name : str
        What ``load_model`` and the command line take.
    description : str
        One line for the user.
    access : Access
        How one comes by it.
    licence : str
        SPDX name of the weights' licence, or what is known of it.
    source : str
        Where it comes from.
    size_mb : float
        On disk; 0 where it is not known.
    intended_use : str
        What its makers made it for.
    expected_input : ExpectedInput
        What it is shown.
    how : str
        How to get it, or why it cannot be loaded.
    files : tuple of ModelFile
        What is downloaded, or checked.
    """

    name: str
    description: str
    access: Access
    licence: str
    source: str
    size_mb: float
    intended_use: str
    expected_input: ExpectedInput
    how: str
    files: tuple[ModelFile, ...] = ()

    @property
    def folder(self) -> Path:
        """Where its checkpoint lies, or would lie after download or import."""
        if self.access == Access.BUNDLED:
            return Path(__file__).parents[1] / self.name.replace("-", "_")
        return models_folder() / self.name

    @property
    def state(self) -> ModelState:
        """What can be done with it on this machine."""
        if self.access == Access.BUNDLED:
            return ModelState.BUNDLED
        if self._is_here():
            return ModelState.HERE
        return {
            Access.DOWNLOAD: ModelState.DOWNLOADABLE,
            Access.OWN_FILE: ModelState.OWN_FILE,
            Access.NOT_DONE: ModelState.NOT_DONE,
        }[self.access]

    @property
    def size(self) -> str:
        """Size in words."""
        return f"{self.size_mb:,.0f} MB" if self.size_mb else "not known before download"

    def _is_here(self) -> bool:
        if self.access == Access.DOWNLOAD:
            return all((self.folder / file.target).is_file() for file in self.files)
        return (self.folder / "model.toml").is_file()


def models_folder() -> Path:
    """Return where downloads and imports go: ``NAPARI_CTCLIP_MODELS`` or the user's data folder."""
    chosen = os.environ.get("NAPARI_CTCLIP_MODELS")
    return Path(chosen) if chosen else user_data_path("napari-ctclip") / "models"


def known_model(name: str) -> KnownModel | None:
    """Return the entry of a name, or None."""
    return next((model for model in KNOWN_MODELS if model.name == name), None)


def how_to_get(model: KnownModel) -> str:
    """Return what a user does to have a model, or why it cannot be had."""
    if model.access == Access.DOWNLOAD:
        return f"napari-ctclip models download {model.name} (licence {model.licence}); {model.how}"
    return model.how


@cache
def _read_table() -> tuple[KnownModel, ...]:
    table = tomllib.loads(_TABLE.read_text("utf-8"))
    return tuple(_entry(values) for values in table["model"])


def _entry(values: dict[str, Any]) -> KnownModel:
    return KnownModel(
        name=values["name"],
        description=values["title"],
        access=Access(values["access"]),
        licence=values["licence"],
        source=values["source"],
        size_mb=float(values.get("size_mb", 0.0)),
        intended_use=values["intended_use"],
        expected_input=ExpectedInput(
            values.get("orientation", ""),
            tuple(float(s) for s in values.get("spacing_mm", ())),
            tuple((float(low), float(high)) for low, high in values.get("windows_hu", ())),
            values.get("input_note", ""),
        ),
        how=values["how"],
        files=tuple(ModelFile(**file) for file in values.get("files", ())),
    )


KNOWN_MODELS: tuple[KnownModel, ...] = _read_table()

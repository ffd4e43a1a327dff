"""Registry: known models, their licence and size, before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["KNOWN_MODELS", "KnownModel", "known_model"]


@dataclass(frozen=True)
class KnownModel:
    """A model that can be asked for by name.

    Attributes
    ----------
    name : str
        What ``load_model`` takes.
    description : str
        One line for the user.
    licence : str
        SPDX name of the weights' licence.
    size_mb : float
        On disk.
    folder : Path
        Where its checkpoint lies.
    """

    name: str
    description: str
    licence: str
    size_mb: float
    folder: Path


KNOWN_MODELS: tuple[KnownModel, ...] = (
    KnownModel(
        name="starter",
        description="Bundled 3D model for chest CT, trained on simulated scans only; 8 findings",
        licence="Apache-2.0",
        size_mb=15.0,
        folder=Path(__file__).parent / "starter",
    ),
)


def known_model(name: str) -> KnownModel | None:
    """Return the entry of a name, or None."""
    return next((model for model in KNOWN_MODELS if model.name == name), None)

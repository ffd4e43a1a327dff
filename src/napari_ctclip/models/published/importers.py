"""Importers: published weights that a user brings, by the model's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from napari_ctclip.models.published.fvlm_checkpoint import FVLM_KIND, load_fvlm
from napari_ctclip.models.published.fvlm_import import import_fvlm
from napari_ctclip.models.published.hlip_checkpoint import HLIP_KIND, import_hlip, load_hlip
from napari_ctclip.models.published.merlin_checkpoint import MERLIN_KIND, import_merlin, load_merlin

__all__ = ["IMPORTERS", "LOADERS", "Importer"]


class Importer(Protocol):
    """Writes a model folder from a published file."""

    def __call__(
        self, file: Path | str, folder: Path | str, *, text_folder: Path | str | None = None
    ) -> None: ...


IMPORTERS: Mapping[str, Importer] = {
    FVLM_KIND: import_fvlm,
    HLIP_KIND: import_hlip,
    MERLIN_KIND: import_merlin,
}

LOADERS: Mapping[str, Callable[[Path], Any]] = {
    FVLM_KIND: load_fvlm,
    HLIP_KIND: load_hlip,
    MERLIN_KIND: load_merlin,
}
"""What opens an imported folder, by the ``architecture.kind`` of its ``model.toml``."""

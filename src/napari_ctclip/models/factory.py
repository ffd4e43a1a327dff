"""Factory: a model from its name or its folder, and model folders from published weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Protocol

from napari_ctclip.core.errors import CheckpointMismatch
from napari_ctclip.models.hub.registry import KNOWN_MODELS, ModelState, how_to_get, known_model
from napari_ctclip.models.published.open_clip_source import is_open_clip, split_plane

if TYPE_CHECKING:
    import torch

    from napari_ctclip.models.interface import VisionLanguageModel

__all__ = ["IMPORTERS", "LOADERS", "import_weights", "load_model", "model_folder"]

_TRAINABLE = "folder.architecture:load_trainable"

LOADERS: Mapping[str, str] = {
    "towers": _TRAINABLE,
    "organ_query": _TRAINABLE,
    "local_regions": _TRAINABLE,
    "hlip": "published.hlip_checkpoint:load_hlip",
    "merlin": "published.merlin_checkpoint:load_merlin",
    "colipri": "published.colipri_checkpoint:load_colipri",
    "open_clip": "published.open_clip_adapter:load_open_clip",
}
"""The function that opens a folder, by the kind of model in it. It is named and imported on use:
each brings libraries that the others do not need."""

IMPORTERS: Mapping[str, str] = {
    "fvlm": "published.fvlm_import:import_fvlm",
    "hlip": "published.hlip_checkpoint:import_hlip",
    "merlin": "published.merlin_checkpoint:import_merlin",
}
"""The function that writes a model folder from a published file, by the model's name."""


class Importer(Protocol):
    """Writes a model folder from a published file."""

    def __call__(
        self, file: Path | str, folder: Path | str, *, text_folder: Path | str | None = None
    ) -> None: ...


def load_model(
    name_or_folder: str | Path, *, device: torch.device | str = "cpu"
) -> VisionLanguageModel:
    """Return a model ready to answer.

    Parameters
    ----------
    name_or_folder : str or Path
        ``"starter"``, ``"starter-2d"`` (bundled); ``"open_clip:ARCHITECTURE/TAG"`` or
        ``"hf-hub:OWNER/NAME"`` where the weights are on this machine; or a model folder: trained
        here, imported, open_clip's or COLIPRI's. open_clip's take ``@coronal`` or ``@sagittal`` at
        the end.
    device : torch.device or str
        Where it computes.

    Raises
    ------
    CheckpointMismatch
        If there is no such model or its folder is incomplete or inconsistent.
    CtClipError
        If files or a package that it needs are not on this machine.
    """
    name, plane = split_plane(str(name_or_folder))
    known = known_model(name)
    if known is None and is_open_clip(name):
        kind, source = "open_clip", name
    else:
        folder = model_folder(name)
        kind, source = _kind_of(folder), str(folder)
    if plane and kind != "open_clip":
        raise CheckpointMismatch(f"{name} is no open_clip model: only those take @{plane}")
    if kind not in LOADERS:
        raise CheckpointMismatch(
            f"{source}: expected a model of kind {', '.join(LOADERS)}, got {kind!r}; update "
            "napari-ctclip"
        )
    load: Callable[[str], Any] = _resolved(LOADERS[kind])
    model: VisionLanguageModel = load(f"{source}@{plane}" if plane else source).to(device)
    return model


def model_folder(name: str | Path) -> Path:
    """Return the folder of a known model, or a path as it is.

    Raises
    ------
    CheckpointMismatch
        If a known model is not on this machine, or there is no such folder.
    """
    known = known_model(str(name))
    if known is not None and known.state not in (ModelState.BUNDLED, ModelState.HERE):
        raise CheckpointMismatch(
            f"model {known.name!r} is not on this machine: {how_to_get(known)}"
        )
    folder = Path(name).expanduser() if known is None else known.folder
    if not folder.is_dir():
        names = ", ".join(model.name for model in KNOWN_MODELS)
        raise CheckpointMismatch(
            f"no model {str(name)!r}; expected one of: {names}, open_clip:ARCHITECTURE/TAG, "
            "hf-hub:OWNER/NAME, or a model folder"
        )
    return folder


def import_weights(
    kind: str, file: Path | str, folder: Path | str, *, text_folder: Path | str | None = None
) -> None:
    """Write a model folder from the published weights of a model of ``IMPORTERS``.

    Parameters
    ----------
    kind : str
        The model's name.
    file, folder, text_folder : Path
        As ``import_release`` takes them.

    Raises
    ------
    CheckpointMismatch
        If the file does not fit the model, or holds more than tensors and plain values.
    CtClipError
        If a package that the model needs is not installed.
    """
    importer: Importer = _resolved(IMPORTERS[kind])
    importer(file, folder, text_folder=text_folder)


def _kind_of(folder: Path) -> str:
    """Return the kind of model in a folder: a key of ``LOADERS``, if it can be opened."""
    if is_open_clip(str(folder)):
        return "open_clip"
    from napari_ctclip.models.folder.files import MODEL_FILE
    from napari_ctclip.models.folder.model_folder import kind_of_folder

    if not (folder / MODEL_FILE).is_file():
        from napari_ctclip.models.published.colipri_checkpoint import is_colipri_release

        if is_colipri_release(folder):
            return "colipri"
    return kind_of_folder(folder)


def _resolved(name: str) -> Any:
    return resolve_name(f"napari_ctclip.models.{name}")

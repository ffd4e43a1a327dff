"""Factory: a model from its name or its folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ctclip.core.errors import CheckpointMismatch
from napari_ctclip.models.hub.registry import KNOWN_MODELS, ModelState, how_to_get, known_model
from napari_ctclip.models.published.open_clip_source import is_open_clip, split_plane

if TYPE_CHECKING:
    import torch

    from napari_ctclip.models.interface import VisionLanguageModel
    from napari_ctclip.models.published.slice_model import SliceModel

__all__ = ["load_model"]


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
    if is_open_clip(name):
        return _open_clip(name, plane).to(device)
    known = known_model(name)
    folder = Path(name) if known is None else known.folder
    if known is not None and known.state not in (ModelState.BUNDLED, ModelState.HERE):
        raise CheckpointMismatch(
            f"model {known.name!r} is not on this machine: {how_to_get(known)}"
        )
    if not folder.is_dir():
        names = ", ".join(model.name for model in KNOWN_MODELS)
        raise CheckpointMismatch(
            f"no model {name!r}; expected one of: {names}, open_clip:ARCHITECTURE/TAG, "
            "hf-hub:OWNER/NAME, or a model folder"
        )
    if is_open_clip(str(folder)):
        return _open_clip(str(folder), plane).to(device)
    if plane:
        raise CheckpointMismatch(f"{name} is no open_clip model: only those take @{plane}")
    model: VisionLanguageModel = _of_folder(folder).to(device)
    return model


def _of_folder(folder: Path) -> Any:
    # imported here: they bring torch, a second
    from napari_ctclip.models.folder.checkpoint import load_checkpoint
    from napari_ctclip.models.folder.folder_files import described_kind
    from napari_ctclip.models.folder.trained_folder import is_trained_folder, load_trained
    from napari_ctclip.models.published.colipri_checkpoint import is_colipri_folder, load_colipri
    from napari_ctclip.models.published.importers import LOADERS

    if is_trained_folder(folder):
        return load_trained(folder)
    load_imported = LOADERS.get(described_kind(folder))
    if load_imported is not None:
        return load_imported(folder)
    if is_colipri_folder(folder):
        return load_colipri(folder)
    return load_checkpoint(folder)


def _open_clip(name: str, plane: str) -> SliceModel:
    from napari_ctclip.models.published.open_clip_adapter import load_open_clip

    return load_open_clip(f"{name}@{plane}" if plane else name)

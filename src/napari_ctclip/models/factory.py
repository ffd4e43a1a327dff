"""Factory: a model from its name or its folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_ctclip.core.errors import CheckpointMismatch
from napari_ctclip.models.registry import KNOWN_MODELS, known_model

if TYPE_CHECKING:
    import torch

    from napari_ctclip.models.interface import VisionLanguageModel

__all__ = ["load_model"]


def load_model(
    name_or_folder: str | Path, *, device: torch.device | str = "cpu"
) -> VisionLanguageModel:
    """Return a model ready to answer.

    Parameters
    ----------
    name_or_folder : str or Path
        ``"starter"`` (bundled), or a checkpoint folder: trained here or imported.
    device : torch.device or str
        Where it computes.

    Raises
    ------
    CheckpointMismatch
        If there is no such model or its folder is incomplete or inconsistent.
    """
    known = known_model(str(name_or_folder))
    folder = Path(name_or_folder) if known is None else known.folder
    if not folder.is_dir():
        names = ", ".join(model.name for model in KNOWN_MODELS)
        raise CheckpointMismatch(
            f"no model {str(name_or_folder)!r}; expected one of: {names}, or a checkpoint folder"
        )
    # imported here: both bring torch, a second
    from napari_ctclip.models.checkpoint import load_checkpoint
    from napari_ctclip.models.fvlm_checkpoint import is_fvlm_folder, load_fvlm
    from napari_ctclip.models.trained_folder import is_trained_folder, load_trained

    if is_trained_folder(folder):
        return load_trained(folder).to(device)
    if is_fvlm_folder(folder):
        return load_fvlm(folder).to(device)
    return load_checkpoint(folder).to(device)

"""Release: how a published file of weights becomes a model folder; nothing of it is run."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from napari_ctclip.core.errors import CheckpointMismatch
from napari_ctclip.models.folder.files import hash_of_files, require_same_tensors
from napari_ctclip.models.hub.hub_cache import cached_folder

__all__ = ["Release", "import_release", "length_of"]

Model = TypeVar("Model", bound=nn.Module)
Saved = TypeVar("Saved", contravariant=True)

_WRAPPERS = ("model", "state_dict")
"""Keys below which training programs put the weights."""


class SavesModel(Protocol[Saved]):
    """Writes a model folder."""

    def __call__(
        self,
        model: Saved,
        folder: Path | str,
        /,
        *,
        text_folder: Path | str,
        provenance: Mapping[str, Any],
    ) -> None: ...


@dataclass(frozen=True)
class Release(Generic[Model]):
    """What is known of a published file.

    Attributes
    ----------
    file : str
        Whose and which, for the messages: "fVLM's model.pth".
    renamed : mapping of str to str
        How the model's names begin -> how the release's do.
    unread : tuple of str
        How the names begin of what the model never reads.
    text_encoder : str
        Repository of its configuration and vocabulary, on the Hugging Face hub.
    text_files : sequence of str
        What of it is needed.
    build : callable
        The release's tensors and the text encoder's folder -> a model of the release's design, as
        wide and deep as the tensors are, with any weights.
    save : callable
        Writes the model's folder.
    plain_name : callable
        A name in the file -> the release's name, where files of one release differ.
    """

    file: str
    renamed: Mapping[str, str]
    unread: tuple[str, ...]
    text_encoder: str
    text_files: Sequence[str]
    build: Callable[[Mapping[str, Tensor], Path], Model]
    save: SavesModel[Model]
    plain_name: Callable[[str], str] = str


def import_release(
    release: Release[Model],
    file: Path | str,
    folder: Path | str,
    *,
    text_folder: Path | str | None = None,
) -> None:
    """Write a model folder from released weights; ``load_model`` opens it.

    Parameters
    ----------
    release : Release
        What the file is.
    file : Path
        The published file, or one of the same names.
    folder : Path
        Made if it does not exist.
    text_folder : Path, optional
        Configuration and vocabulary of the text encoder; the Hugging Face cache is looked in where
        it is not given. Nothing is downloaded.

    Raises
    ------
    CheckpointMismatch
        If the file holds anything but tensors and plain values (a pickle can run code; it is not
        run), or tensors that are missing, unexpected or of another shape; each is named.
    CtClipError
        If transformers is not installed.
    """
    file, advice = Path(file), f"give {release.file}"
    found = _read_released(file, advice=advice)
    named = {release.plain_name(name): tensor for name, tensor in found.items()}
    state = _without_unread(named, release.unread)
    texts = _released_text_folder(
        text_folder, repository=release.text_encoder, files=release.text_files
    )
    model = release.build(state, texts)
    _load_released(
        model,
        state,
        renamed=release.renamed,
        source=file,
        advice=f"{advice} and the text encoder {release.text_encoder}",
    )
    release.save(model, folder, text_folder=texts, provenance=_origin_of(file))


def length_of(state: Mapping[str, Tensor], name: str, default: int) -> int:
    """Return the first axis of a tensor; a missing or scalar one is named later, by comparison."""
    tensor = state.get(name)
    return default if tensor is None or tensor.ndim == 0 else tensor.shape[0]


def _read_released(file: Path | str, *, advice: str) -> dict[str, Tensor]:
    """Return the tensors of a published file by their names there.

    Parameters
    ----------
    file : Path
        A file of ``torch.save``: a dictionary of tensors, or one under ``model`` or ``state_dict``.
    advice : str
        Which file to give, for the message.

    Raises
    ------
    CheckpointMismatch
        If it holds anything but tensors and plain values (a pickle can run code; it is not run),
        or is damaged or missing.
    """
    file = Path(file)
    if not file.is_file():
        raise CheckpointMismatch(f"no file {file}; {advice}")
    content = _read_tensors(file)
    state: Any = None
    if isinstance(content, Mapping):
        state = next((content[key] for key in _WRAPPERS if key in content), content)
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointMismatch(
            f"{file}: expected a dictionary of tensors, or one under the key "
            f"{' or '.join(map(repr, _WRAPPERS))}, got "
            f"{type(content if state is None else state).__name__}; {advice}"
        )
    # saved from DistributedDataParallel
    return {str(name).removeprefix("module."): tensor for name, tensor in state.items()}


def _without_unread(
    state: Mapping[str, Tensor], unread: str | tuple[str, ...]
) -> dict[str, Tensor]:
    """Return the tensors but those whose names begin with ``unread``, and position numbers.

    Position numbers are a buffer of some versions of transformers: 0, 1, 2 ...
    """
    return {
        name: tensor
        for name, tensor in state.items()
        if not name.startswith(unread) and not name.endswith("position_ids")
    }


def _origin_of(file: Path) -> dict[str, str]:
    """Return what a model's provenance says of the file its weights came in."""
    return {"imported_from": file.name, "sha256": hash_of_files(file)}


def _load_released(
    model: nn.Module,
    state: Mapping[str, Tensor],
    *,
    renamed: Mapping[str, str],
    source: Path | str,
    advice: str,
) -> None:
    """Put released tensors into a model, every one of them and no other.

    Parameters
    ----------
    model : nn.Module
        Built for the weights.
    state : mapping of str to Tensor
        By the release's names.
    renamed : mapping of str to str
        How the model's names begin -> how the release's do.
    source : Path
        The file, for the message.
    advice : str
        How to fix it.

    Raises
    ------
    CheckpointMismatch
        Naming tensors that are missing, unexpected or of another shape, by the release's names.
    """
    own = model.state_dict()
    names = {_released_name(name, renamed): name for name in own}
    expected = {released: own[name] for released, name in names.items()}
    require_same_tensors(expected, state, source=str(source), advice=advice)
    model.load_state_dict(
        {names[released]: t.to(own[names[released]].dtype) for released, t in state.items()}
    )


def _released_text_folder(
    given: Path | str | None, *, repository: str, files: Sequence[str]
) -> Path:
    """Return where a text encoder's configuration and vocabulary lie; nothing is downloaded.

    Raises
    ------
    CheckpointMismatch
        If no folder is given and the Hugging Face cache holds none.
    """
    folder = cached_folder(repository, files) if given is None else Path(given)
    if folder is None:
        raise CheckpointMismatch(
            f"the text encoder {repository} is not in the Hugging Face cache; download its "
            f"{' and '.join(files)} and give their folder with --text-encoder"
        )
    return folder


def _read_tensors(file: Path) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise CheckpointMismatch(
            f"{file} is refused: it is damaged, or holds Python objects beside tensors, which "
            f"could run code when opened ({reason[0]}); nothing of it was run. Give the file as "
            "published, or ask its author for a plain state dict"
        ) from error


def _released_name(own: str, renamed: Mapping[str, str]) -> str:
    for prefix, released in renamed.items():
        if own.startswith(prefix):
            return released + own.removeprefix(prefix)
    raise AssertionError(f"no released name for {own}")

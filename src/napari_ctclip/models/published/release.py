"""Release: how a published file of weights becomes a model folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from torch import Tensor, nn

from napari_ctclip.models.published.released_file import (
    load_released,
    origin_of,
    read_released,
    released_text_folder,
    without_unread,
)

__all__ = ["Release", "import_release"]

Model = TypeVar("Model", bound=nn.Module)
Saved = TypeVar("Saved", contravariant=True)


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
    found = read_released(file, advice=advice)
    named = {release.plain_name(name): tensor for name, tensor in found.items()}
    state = without_unread(named, release.unread)
    texts = released_text_folder(
        text_folder, repository=release.text_encoder, files=release.text_files
    )
    model = release.build(state, texts)
    load_released(
        model,
        state,
        renamed=release.renamed,
        source=file,
        advice=f"{advice} and the text encoder {release.text_encoder}",
    )
    release.save(model, folder, text_folder=texts, provenance=origin_of(file))

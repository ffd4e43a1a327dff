"""``napari-ctclip models``: what can be loaded, downloading it, and importing weights you have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_ctclip.cli import terminal
from napari_ctclip.cli.audit import audit_scan
from napari_ctclip.core.errors import CtClipError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from napari_ctclip.models.hub.registry import KnownModel

__all__ = ["app"]

app = typer.Typer(help="Models that can be loaded.", no_args_is_help=True)
app.command("audit")(audit_scan)

NameArgument = Annotated[str, typer.Argument(help="Name of a model, as `models list` shows it.")]


@app.command("list")
def list_models() -> None:
    """List every known model: whether it can be loaded, its licence and size."""
    from rich.table import Table

    from napari_ctclip.models.hub.registry import KNOWN_MODELS, Access

    table = Table("name", "state", "licence", "size", "what it is")
    for model in KNOWN_MODELS:
        why = f" ({model.how})" if model.access == Access.NOT_DONE else ""
        size = model.size if model.size_mb else ""
        table.add_row(
            model.name, str(model.state), model.licence, size, f"{model.description}{why}"
        )
    terminal.show(table)


@app.command("info")
def show_model(name: NameArgument) -> None:
    """Show a model's source, licence, size, checksum, intended use and expected input."""
    model = _known(name)
    _print_facts(model)


@app.command("download")
def download(
    name: NameArgument,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask; the licence is accepted.")
    ] = False,
) -> None:
    """Download a model after showing its licence; an interrupted download is resumed."""
    from napari_ctclip.models.hub.download import download_model
    from napari_ctclip.models.hub.registry import Access

    model = _known(name)
    if model.access != Access.DOWNLOAD:
        raise CtClipError(f"{model.name} cannot be downloaded ({model.state}): {model.how}")
    _print_facts(model)
    if not yes and not typer.confirm(f"Download under this licence ({model.licence})?"):
        raise typer.Exit(1)
    with _download_bar() as bar:
        tasks: dict[str, TaskID] = {}

        def progress(file: str, there: int, total: int) -> None:
            if file not in tasks:
                tasks[file] = bar.add_task(file, total=None)
            bar.update(tasks[file], completed=there, total=total or None)

        files = download_model(model, progress=progress)
    for file in files:
        terminal.say(f"{file.path}  sha256 {file.sha256}")
    terminal.say(f"{model.folder}: use it with --model {model.name}")


@app.command("import")
def import_model(
    kind: Annotated[str, typer.Argument(help="What the file is: fvlm, hlip, merlin.")],
    weights: Annotated[Path, typer.Argument(help="The published file, e.g. model.pth.")],
    out: Annotated[
        Path | None, typer.Option(help="Model folder to write; among the known models if none.")
    ] = None,
    text_encoder: Annotated[
        Path | None, typer.Option(help="Folder with its text encoder's config.json and vocabulary.")
    ] = None,
) -> None:
    """Turn weights you were given into a model folder; nothing is downloaded."""
    from napari_ctclip.models.factory import IMPORTERS, import_weights

    if kind not in IMPORTERS:
        known = ", ".join(IMPORTERS)
        raise typer.BadParameter(f"{kind!r} cannot be imported; expected one of: {known}")
    model = _known(kind)
    folder = out or model.folder
    import_weights(kind, weights, folder, text_folder=text_encoder)
    terminal.say(f"{folder}: use it with --model; weights' licence: {model.licence}")


def _download_bar() -> Progress:
    from rich import progress

    columns = (progress.TextColumn("{task.description}"), progress.BarColumn())
    speed = (progress.DownloadColumn(), progress.TransferSpeedColumn())
    return progress.Progress(*columns, *speed, console=terminal.error_console())


def _known(name: str) -> KnownModel:
    from napari_ctclip.models.hub.registry import KNOWN_MODELS, known_model

    model = known_model(name)
    if model is None:
        names = ", ".join(model.name for model in KNOWN_MODELS)
        raise CtClipError(f"no model {name!r}; expected one of: {names}")
    return model


def _print_facts(model: KnownModel) -> None:
    from rich.table import Table

    from napari_ctclip.models.hub.download import recorded_files
    from napari_ctclip.models.hub.registry import Access

    facts = {
        "name": model.name,
        "what it is": model.description,
        "state": str(model.state),
        "licence": model.licence,
        "source": model.source,
        "size": model.size,
        "intended use": model.intended_use,
        "expected input": str(model.expected_input),
        "why not" if model.access == Access.NOT_DONE else "how": model.how,
        "folder": "" if model.access == Access.NOT_DONE else str(model.folder),
    }
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        if value:
            table.add_row(name, value)
    recorded = {file.path: file.sha256 for file in recorded_files(model.folder)}
    for file in model.files:
        table.add_row("file", f"{file.target}\n{_checksum(file.sha256, recorded.get(file.target))}")
    terminal.show(table)


def _checksum(published: str, recorded: str | None) -> str:
    if published:
        return f"sha256 {published} (published)"
    if recorded:
        return f"sha256 {recorded} (of your download)"
    return "no checksum published here; the hub's own is checked, and the download's is recorded"

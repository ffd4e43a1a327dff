"""``napari-ctclip models``: what can be loaded, and importing weights you were given."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_ctclip import terminal

__all__ = ["app"]

app = typer.Typer(help="Models that can be loaded.", no_args_is_help=True)


@app.command("list")
def list_models() -> None:
    """List the models that can be loaded, with licence and size."""
    from napari_ctclip.models.registry import KNOWN_MODELS

    for model in KNOWN_MODELS:
        terminal.out.print(
            f"{model.name:12s} {model.licence:12s} {model.size_mb:6.1f} MB  {model.description}"
        )


@app.command("import")
def import_model(
    kind: Annotated[str, typer.Argument(help="What the file is: fvlm.")],
    weights: Annotated[Path, typer.Argument(help="The published file, e.g. model.pth.")],
    out: Annotated[Path, typer.Option(help="Model folder to write.")],
    text_encoder: Annotated[
        Path | None, typer.Option(help="Folder with its text encoder's config.json and vocab.txt.")
    ] = None,
) -> None:
    """Turn weights you were given into a model folder; nothing is downloaded."""
    if kind != "fvlm":
        raise typer.BadParameter(f"{kind!r} cannot be imported; expected: fvlm")
    with terminal.data_errors():
        from napari_ctclip.models.fvlm_import import FVLM_LICENCE, import_fvlm

        import_fvlm(weights, out, text_folder=text_encoder)
    terminal.out.print(
        f"{out}: use it with --model; weights' licence: {FVLM_LICENCE}", markup=False
    )

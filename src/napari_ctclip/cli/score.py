"""``napari-ctclip score``: prompts to scores, heatmaps and figures, without a window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_ctclip.cli import terminal
from napari_ctclip.cli.export import (
    USUAL_SIZE,
    ExportOption,
    FindingsOption,
    SizeOption,
    findings_of,
    kinds_of,
    size_of,
    write,
)
from napari_ctclip.cli.scan import ScanOptions, takes_scan
from napari_ctclip.core.template_set import AS_TYPED

if TYPE_CHECKING:
    from napari_ctclip.core.prompt import Prompt
    from napari_ctclip.session.session import Session

__all__ = ["print_answers", "score"]


@takes_scan()
def score(
    scan: ScanOptions,
    prompt: Annotated[list[str], typer.Option(help="A finding in words; repeatable.")],
    out: Annotated[Path, typer.Option(help="Folder for scores, heatmaps, figures, provenance.")],
    negative: Annotated[
        list[str] | None,
        typer.Option(help="Negative prompts to contrast with, one each or one for all."),
    ] = None,
    templates: Annotated[
        list[str] | None,
        typer.Option(
            help="Prompt template: the name of a template set, or a TOML file of one; one each or "
            "one for all."
        ),
    ] = None,
    export: ExportOption = None,
    figure_size: SizeOption = USUAL_SIZE,
    findings_at: FindingsOption = None,
) -> None:
    """Score prompts on a CT: scores.csv, heatmaps, figures, provenance.json."""
    paired = _paired(prompt, negative or [])
    names = _one_each(templates or [AS_TYPED.name], paired, option="--templates")
    kinds, size = kinds_of(export), size_of(figure_size)

    from napari_ctclip.io.template_files import read_templates

    prompts = [
        replace(one, templates=read_templates(name))
        for one, name in zip(paired, names, strict=True)
    ]
    session = scan.open()
    scan.encode(session, (one.templates for one in prompts))
    for one in prompts:
        session.ask(one)
    findings = findings_of(session, fraction=findings_at)
    files = write(session, out, findings=findings, kinds=kinds, size=size, model_source=scan.model)
    print_answers(session)
    terminal.say(f"{len(files)} files in {out}")


def print_answers(session: Session) -> None:
    """Print the notices of a session's answers, and a line for each."""
    from napari_ctclip.core.anatomy import anatomy_label

    terminal.print_notices(dict.fromkeys(n for a in session.answers for n in a.notices))
    for answer in session.answers:
        best = answer.focus
        x, y, z = best.peak.world_mm
        terminal.say(
            f"{answer.prompt.positive:28s} {anatomy_label(best.anatomy):14s} "
            f"probability {best.probability:.2f}  similarity {best.similarity:+.3f}  "
            f"peak x {x:.0f} y {y:.0f} z {z:.0f} mm"
        )


def _paired(positives: Sequence[str], negatives: Sequence[str]) -> list[Prompt]:
    from napari_ctclip.core.prompt import Prompt

    if any(not text.strip() for text in positives):
        raise typer.BadParameter("a --prompt needs at least one word, e.g. 'lung nodule'")
    contrasts = _one_each(negatives or [""], positives, option="--negative")
    return [Prompt(p, n) for p, n in zip(positives, contrasts, strict=True)]


def _one_each(texts: Sequence[str], prompts: Sequence[object], *, option: str) -> list[str]:
    """Return one text a prompt; one alone is for all of them."""
    if len(texts) not in (1, len(prompts)):
        raise typer.BadParameter(
            f"{len(texts)} {option} for {len(prompts)} --prompt; give none, one for all, or one "
            "each"
        )
    return list(texts) * (len(prompts) if len(texts) == 1 else 1)

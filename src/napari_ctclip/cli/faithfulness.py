"""``napari-ctclip occlude | deletion-test``: whether a heatmap shows what drives the score."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_ctclip.cli import terminal
from napari_ctclip.cli.scan import ScanOptions, index_at, millimetres, takes_scan

if TYPE_CHECKING:
    from napari_ctclip.core.prompt import Prompt

__all__ = ["deletion_test", "occlude"]

_PEAK = "peak"

PromptOption = Annotated[str, typer.Option(help="The finding whose answer is tested.")]
NegativeOption = Annotated[
    str, typer.Option(help="Negative prompt, what the finding is contrasted with.")
]
OutOption = Annotated[Path, typer.Option(help="Folder for table, picture and provenance.")]


@takes_scan()
def occlude(
    scan: ScanOptions,
    prompt: PromptOption,
    out: OutOption,
    at: Annotated[
        str,
        typer.Option(help="Centre x,y,z in mm (RAS, as score prints peaks), or 'peak'."),
    ] = _PEAK,
    radius: Annotated[
        float, typer.Option(help="Radius of the occluded sphere, mm.", min=0.0)
    ] = 10.0,
    controls: Annotated[
        int,
        typer.Option(help="Control spheres elsewhere in the organ, occluded alike.", min=0, max=50),
    ] = 5,
    negative: NegativeOption = "",
) -> None:
    """Inpaint a sphere with normal tissue and score again, to see whether it drives the score."""
    centre = None if at == _PEAK else millimetres(at, "--at")
    prompted = _prompt(prompt, negative)

    from napari_ctclip.explanation.occlusion import occlude_region
    from napari_ctclip.exporting.explanation_files import write_occlusion
    from napari_ctclip.io.template_files import read_templates
    from napari_ctclip.regions.drawn_region import sphere_region

    prompted = replace(prompted, templates=read_templates(scan.templates))
    session = scan.open()
    ready = scan.encode(session, [prompted.templates])
    answer = session.ask(prompted)
    geometry = ready.study.volume.geometry
    middle = index_at(answer.focus.peak.world_mm if centre is None else centre, geometry)
    z, y, x = (round(index) for index in middle)
    with terminal.progress_bar("occluding") as progress:
        occluded = occlude_region(
            ready,
            prompted,
            sphere_region(geometry, (z, y, x), radius_mm=radius),
            controls=controls,
            work=session.work(progress),
        )
    terminal.print_notices(occluded.notices)
    files = write_occlusion(occluded, ready.study.volume, out, provenance=session.provenance())
    for effect in occluded.effects:
        terminal.say(
            f"{effect.where.replace('_', ' '):18s} {effect.before:+.3f} -> {effect.after:+.3f}  "
            f"{effect.reading}"
        )
    terminal.say(f"{len(files)} files in {out}")


@takes_scan()
def deletion_test(
    scan: ScanOptions, prompt: PromptOption, out: OutOption, negative: NegativeOption = ""
) -> None:
    """Blur the tokens that a heatmap ranks highest, step by step, and all but these (insertion)."""
    prompted = _prompt(prompt, negative)

    from napari_ctclip.explanation.map_test import map_test
    from napari_ctclip.exporting.explanation_files import write_map_test
    from napari_ctclip.io.template_files import read_templates

    prompted = replace(prompted, templates=read_templates(scan.templates))
    session = scan.open()
    ready = scan.encode(session, [prompted.templates])
    with terminal.progress_bar("testing") as progress:
        tested = map_test(ready, prompted, work=session.work(progress))
    files = write_map_test(tested, out, provenance=session.provenance())
    terminal.say(" tokens  deletion (random)  insertion (random)")
    for row in tested.rows:
        terminal.say(
            f"{row.tokens:7d}  {row.deletion:+.3f} ({row.reference_deletion:+.3f})   "
            f"{row.insertion:+.3f} ({row.reference_insertion:+.3f})"
        )
    terminal.say(tested.reading)
    terminal.say(f"{len(files)} files in {out}")


def _prompt(positive: str, negative: str) -> Prompt:
    from napari_ctclip.core.prompt import Prompt

    if not positive.strip():
        raise typer.BadParameter("--prompt needs at least one word, e.g. 'lung nodule'")
    return Prompt(positive, negative)

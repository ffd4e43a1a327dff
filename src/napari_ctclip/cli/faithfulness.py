"""``napari-ctclip erase | deletion-curve``: whether a heatmap shows what drives the score."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from napari_ctclip.cli import terminal
from napari_ctclip.cli.scan import (
    QUICK_MASKS,
    CtArgument,
    DeviceOption,
    LegendOption,
    MasksOption,
    ModelOption,
    SeriesOption,
    SuspiciousOption,
    TemplatesOption,
    load_and_encode,
    open_session,
)
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.template_set import AS_TYPED
from napari_ctclip.io.template_files import read_templates

__all__ = ["deletion_curve", "erase"]

_PEAK = "peak"

PromptOption = Annotated[str, typer.Option(help="The finding whose answer is tested.")]
NegativeOption = Annotated[str, typer.Option(help="What it is held against.")]
OutOption = Annotated[Path, typer.Option(help="Folder for table, picture and provenance.")]


def erase(
    ct: CtArgument,
    prompt: PromptOption,
    out: OutOption,
    at: Annotated[
        str,
        typer.Option(help="Middle x,y,z in mm (RAS, as score prints peaks), or 'peak'."),
    ] = _PEAK,
    radius: Annotated[float, typer.Option(help="Of the erased ball, mm.", min=0.0)] = 10.0,
    controls: Annotated[
        int, typer.Option(help="Places elsewhere in the organ, erased likewise.", min=0, max=50)
    ] = 5,
    negative: NegativeOption = "",
    series: SeriesOption = None,
    masks: MasksOption = QUICK_MASKS,
    legend: LegendOption = None,
    accept_suspicious: SuspiciousOption = False,
    templates: TemplatesOption = AS_TYPED.name,
    model: ModelOption = "starter",
    device: DeviceOption = "auto",
) -> None:
    """Fill a ball with normal tissue and ask again, to see whether the place drives the score."""
    place = None if at == _PEAK else _millimetres(at)
    words = _asked(prompt, negative)
    with terminal.data_errors():
        from napari_ctclip.explanation.occlusion import occlude_region
        from napari_ctclip.exporting.explanation_files import write_occlusion
        from napari_ctclip.regions.drawn_region import sphere_region

        asked = replace(words, templates=read_templates(templates))
        session = open_session(
            ct,
            series=series,
            accept_suspicious=accept_suspicious,
            masks=masks,
            legend=legend,
            device=device,
        )
        scan = load_and_encode(session, model, [asked.templates])
        answer = session.ask(asked)
        geometry = scan.study.volume.geometry
        world = answer.focus.peak.world_mm if place is None else place
        z, y, x = geometry.world_to_index(world).round().astype(int).tolist()
        region = sphere_region(geometry, (z, y, x), radius_mm=radius)
        with terminal.progress_bar("erasing") as progress:
            erased = occlude_region(
                scan, asked, region, controls=controls, work=session.work(progress)
            )
        terminal.print_notices(erased.notices)
        files = write_occlusion(erased, scan.study.volume, out, provenance=session.provenance())
    for effect in erased.effects:
        terminal.out.print(
            f"{effect.where.replace('_', ' '):18s} {effect.before:+.3f} -> {effect.after:+.3f}  "
            f"{effect.reading}",
            markup=False,
        )
    terminal.out.print(f"{len(files)} files in {out}", markup=False)


def deletion_curve(
    ct: CtArgument,
    prompt: PromptOption,
    out: OutOption,
    negative: NegativeOption = "",
    series: SeriesOption = None,
    masks: MasksOption = QUICK_MASKS,
    legend: LegendOption = None,
    accept_suspicious: SuspiciousOption = False,
    templates: TemplatesOption = AS_TYPED.name,
    model: ModelOption = "starter",
    device: DeviceOption = "auto",
) -> None:
    """Blur the tokens a heatmap ranks highest, step by step, to see how few carry the score."""
    words = _asked(prompt, negative)
    with terminal.data_errors():
        from napari_ctclip.explanation.map_test import map_test
        from napari_ctclip.exporting.explanation_files import write_map_test

        asked = replace(words, templates=read_templates(templates))
        session = open_session(
            ct,
            series=series,
            accept_suspicious=accept_suspicious,
            masks=masks,
            legend=legend,
            device=device,
        )
        scan = load_and_encode(session, model, [asked.templates])
        with terminal.progress_bar("testing") as progress:
            tested = map_test(scan, asked, work=session.work(progress))
        files = write_map_test(tested, out, provenance=session.provenance())
    terminal.out.print(" tokens  deletion (random)  insertion (random)")
    for row in tested.rows:
        terminal.out.print(
            f"{row.tokens:7d}  {row.deletion:+.3f} ({row.reference_deletion:+.3f})   "
            f"{row.insertion:+.3f} ({row.reference_insertion:+.3f})",
            markup=False,
        )
    terminal.out.print(tested.reading)
    terminal.out.print(f"{len(files)} files in {out}", markup=False)


def _asked(positive: str, negative: str) -> Prompt:
    if not positive.strip():
        raise typer.BadParameter("--prompt needs at least one word, e.g. 'lung nodule'")
    return Prompt(positive, negative)


def _millimetres(text: str) -> tuple[float, float, float]:
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(
            f"--at {text!r} is no place; expected x,y,z in mm, e.g. -52,-82,-115, or 'peak'"
        ) from None
    return x, y, z

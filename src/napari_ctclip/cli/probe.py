"""``napari-ctclip probe``: what a region of interest of a CT is, and which findings fit it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_ctclip.cli import terminal
from napari_ctclip.cli.scan import ScanOptions, index_at, millimetres, takes_scan

if TYPE_CHECKING:
    from rich.table import Table

    from napari_ctclip.core.geometry import Geometry
    from napari_ctclip.core.roi import Roi
    from napari_ctclip.explanation.roi_reading import RoiReading
    from napari_ctclip.session.session import Session

__all__ = ["probe"]

_RADIUS_MM = 10.0


@takes_scan()
def probe(
    scan: ScanOptions,
    at: Annotated[
        str, typer.Option(help="Centre of the region: x,y,z in mm (RAS world of the file).")
    ] = "",
    radius: Annotated[
        float | None, typer.Option(help="Radius of a sphere about it, mm; 10 if left out.")
    ] = None,
    size: Annotated[
        str, typer.Option(help="Sides x,y,z of a box about it instead, mm (R-L, A-P, S-I).")
    ] = "",
    organ: Annotated[str, typer.Option(help="A whole organ instead, e.g. lung_left.")] = "",
    prompt: Annotated[
        list[str] | None,
        typer.Option(help="A prompt to rank too, beside the dictionary; repeatable."),
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="Findings printed; --out has all.")] = 12,
    out: Annotated[
        Path | None, typer.Option(help="Folder for findings.csv, similar.csv and roi.json.")
    ] = None,
) -> None:
    """Rank the findings that fit a region of a CT, each beside its reference distribution."""
    described = _described(at, radius, size=size, organ=organ)

    from napari_ctclip.core.prompt import Prompt
    from napari_ctclip.explanation.roi_reading import read_roi
    from napari_ctclip.exporting.explanation_files import write_roi
    from napari_ctclip.io.template_files import read_templates
    from napari_ctclip.regions.drawn_region import roi_region

    templates = read_templates(scan.templates)
    prompts = [Prompt(text) for text in prompt or ()]
    session = scan.open()
    study = session.study
    assert study is not None, "a session on a scan has it"
    roi = described(study.volume.geometry)
    region = roi_region(roi, study)
    ready = scan.encode(session, [templates])
    reading = read_roi(
        study,
        region,
        encoded=(ready.model, ready.encoding),
        asked=prompts,
        templates=templates,
    )
    files: tuple[Path, ...] = ()
    if out is not None:
        files = write_roi(
            reading,
            out,
            drawn=roi.facts(study.volume.geometry),
            provenance=session.provenance(),
        )
    _print(reading, session, most=most)
    for path in files:
        terminal.say(f"  {path}")


def _described(
    at: str, radius: float | None, *, size: str, organ: str
) -> Callable[[Geometry], Roi]:
    """Return what makes the region of interest that the options mean, once the grid is known.

    It raises a DataError if that lies outside the scan.
    """
    if bool(at) == bool(organ):
        raise typer.BadParameter("give either --at x,y,z or --organ NAME")
    if (radius is not None and size) or (organ and (radius is not None or size)):
        raise typer.BadParameter("give one of --radius, --size and --organ")
    from napari_ctclip.core.roi import Roi

    if organ:
        return lambda _: Roi.organ(organ)
    centre = millimetres(at, "--at")
    if size:
        right_left, front_back, up_down = sides = millimetres(size, "--size")
        if min(sides) <= 0:
            raise typer.BadParameter(f"--size {size!r} needs three sides above 0 mm")
        return lambda grid: Roi.box(index_at(centre, grid), (up_down, front_back, right_left))
    reach = _RADIUS_MM if radius is None else radius
    if not 0 <= reach < math.inf:
        raise typer.BadParameter(f"--radius {reach:g} is no number of mm from 0 up")
    return lambda grid: Roi.sphere(index_at(centre, grid), reach)


def _print(reading: RoiReading, session: Session, *, most: int) -> None:
    from napari_ctclip.core.anatomy import anatomy_label
    from napari_ctclip.explanation.roi_reading import (
        CAUTION,
        finding_words,
        no_similar_words,
        organ_words,
        reference_words,
        statistics_words,
    )
    from napari_ctclip.session.organ_readout import naming_words

    local = reading.local
    assert local is not None, "the scan was encoded"
    terminal.say(organ_words(reading.statistics))
    terminal.say(statistics_words(reading.statistics))
    if reading.naming is not None:
        terminal.say(f"the model calls it {naming_words(reading.naming)}")
    if local.findings:
        terminal.show(_table(reading, most))
    terminal.say(reference_words(local, reading.templates))
    if local.findings:
        terminal.say(finding_words(local.findings[0], local))
    for rank, place in enumerate(local.similar, start=1):
        x, y, z = place.world_mm
        where = anatomy_label(place.organ) if place.organ else "no organ mask"
        terminal.say(
            f"similar {rank}: {where}, cosine {place.cosine:.3f}, x {x:.0f} y {y:.0f} z {z:.0f} mm"
        )
    if no_similar_words(local):
        terminal.say(f"similar: {no_similar_words(local)}")
    terminal.say(CAUTION)


def _table(reading: RoiReading, most: int) -> Table:
    from rich.table import Table

    local = reading.local
    assert local is not None, "the scan was encoded"
    table = Table(box=None, pad_edge=False)
    for title in ("finding", "known", "similarity", "% of organ", "mirrored", "p"):
        table.add_column(title, justify="left" if title in ("finding", "known") else "right")
    for finding in local.findings[:most]:
        table.add_row(
            finding.text,
            "yes" if finding.known else "no",
            f"{finding.similarity:+.3f}",
            "-" if finding.organ_percentile is None else f"{finding.organ_percentile:.1f}",
            "-" if finding.mirrored is None else f"{finding.mirrored:+.3f}",
            "-" if finding.prompt_p is None else f"{finding.prompt_p:.3f}",
        )
    return table

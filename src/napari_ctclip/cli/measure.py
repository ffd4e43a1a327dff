"""``napari-ctclip measure``: the numbers of one finding."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_ctclip.cli import terminal
from napari_ctclip.cli.scan import ScanOptions, index_at, millimetres, takes_scan

if TYPE_CHECKING:
    from napari_ctclip.core.finding import Finding
    from napari_ctclip.core.region import Region
    from napari_ctclip.core.volume import Volume
    from napari_ctclip.session.session import Session

__all__ = ["measure"]


@takes_scan()
def measure(
    scan: ScanOptions,
    at: Annotated[
        str,
        typer.Option(
            help="A point: x,y,z in mm (RAS world of the file), measured in a sphere of 5 mm."
        ),
    ] = "",
    threshold: Annotated[
        float | None,
        typer.Option(help="The prompt's heatmap about the point instead, above this similarity."),
    ] = None,
    region: Annotated[
        Path | None, typer.Option(help="A drawn region instead: the voxels of 1 in a label map.")
    ] = None,
    prompt: Annotated[str, typer.Option(help="The finding whose similarity is measured.")] = "",
    negative: Annotated[
        str, typer.Option(help="Negative prompt, what it is contrasted with.")
    ] = "",
    anatomy: Annotated[
        str, typer.Option(help="Organ that the prompt is about, e.g. lung_left.")
    ] = "",
) -> None:
    """Measure one finding: similarity, volume, mean HU and organ."""
    if bool(at) == (region is not None):
        raise typer.BadParameter("give either --at x,y,z or --region FILE")
    if threshold is not None and not (at and prompt):
        raise typer.BadParameter("--threshold needs --at x,y,z, and the --prompt of the heatmap")
    point = millimetres(at, "--at") if at else None

    from napari_ctclip.core.prompt import Prompt
    from napari_ctclip.io.template_files import read_templates

    session = scan.open()
    assert session.study is not None, "a session on a scan has it"
    drawn = None if region is None else _region(region, session.study.volume)
    positive = ""
    if prompt:
        prompted = Prompt(prompt, negative, anatomy, read_templates(scan.templates))
        scan.encode(session, [prompted.templates])
        positive = session.ask(prompted).prompt.positive
    finding = _found(session, point, threshold=threshold, drawn=drawn, positive=positive)
    _print(finding)


def _region(path: Path, volume: Volume) -> Region:
    """Return the voxels of 1 in a label map on the scan's grid; its notices are printed.

    Raises
    ------
    DataError
        If there are none.
    """
    from napari_ctclip.core.errors import DataError
    from napari_ctclip.core.region import Region
    from napari_ctclip.io.masks.organ_mask_files import read_organ_masks

    read = read_organ_masks(path, volume, legend={"region": 1})
    terminal.print_notices(read.notices)
    mask = read.masks.labels == 1
    if not mask.any():
        raise DataError(f"{path}: no voxel of it is 1; a region needs at least one voxel")
    return Region.of(mask)


def _found(
    session: Session,
    point: tuple[float, float, float] | None,
    *,
    threshold: float | None,
    drawn: Region | None,
    positive: str,
) -> Finding:
    """Return the finding that the options mean.

    Raises
    ------
    DataError
        If the point lies outside the scan, or its similarity below the threshold.
    """
    from napari_ctclip.session.findings_session import FindingsSession

    findings = FindingsSession(session)
    if drawn is not None:
        return findings.compute_drawn(drawn, positive=positive)
    assert session.study is not None, "a session on a scan has it"
    assert point is not None, "without a region there is a point"
    geometry = session.study.volume.geometry
    z, y, x = (round(index) for index in index_at(point, geometry))
    if threshold is not None:
        return findings.compute_region(positive, threshold=threshold, seed=(z, y, x))
    return findings.compute_point((z, y, x), positive=positive)


def _print(finding: Finding) -> None:
    from napari_ctclip.core.anatomy import anatomy_label

    rows = {
        "similarity": None if finding.similarity is None else f"{finding.similarity:+.6f}",
        "volume": None if finding.volume_ml is None else f"{finding.volume_ml:.4f} ml",
        "mean HU": f"{finding.mean_hounsfield:.2f}",
        "organ": anatomy_label(finding.anatomy) if finding.anatomy else None,
    }
    for name, value in rows.items():
        terminal.say(f"{name:12s}{value or '-'}")

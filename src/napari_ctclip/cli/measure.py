"""``napari-ctclip measure``: the numbers of one finding, as the window measures it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    index_at,
    load_and_encode,
    millimetres,
    open_session,
)
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.template_set import AS_TYPED
from napari_ctclip.io.template_files import read_templates

if TYPE_CHECKING:
    from napari_ctclip.core.finding import Finding
    from napari_ctclip.core.region import Region
    from napari_ctclip.core.volume import Volume
    from napari_ctclip.session.session import Session

__all__ = ["measure"]


def measure(
    ct: CtArgument,
    at: Annotated[
        str, typer.Option(help="The spot: x,y,z in mm (RAS world of the file); its 5 mm ball.")
    ] = "",
    cut: Annotated[
        float | None,
        typer.Option(help="The prompt's heat about the spot instead, cut at this similarity."),
    ] = None,
    region: Annotated[
        Path | None, typer.Option(help="A drawn region instead: the voxels of 1 in a label map.")
    ] = None,
    prompt: Annotated[str, typer.Option(help="The finding whose similarity is told.")] = "",
    negative: Annotated[str, typer.Option(help="What it is held against.")] = "",
    anatomy: Annotated[str, typer.Option(help="Organ the prompt speaks of, e.g. lung_left.")] = "",
    templates: TemplatesOption = AS_TYPED.name,
    series: SeriesOption = None,
    masks: MasksOption = QUICK_MASKS,
    legend: LegendOption = None,
    accept_suspicious: SuspiciousOption = False,
    model: ModelOption = "starter",
    device: DeviceOption = "auto",
) -> None:
    """Measure one finding: similarity, volume, mean HU and organ, as the Findings tab does."""
    if bool(at) == (region is not None):
        raise typer.BadParameter("give either --at x,y,z or --region FILE")
    if cut is not None and not (at and prompt):
        raise typer.BadParameter("--cut needs --at x,y,z, and --prompt whose heat it cuts")
    spot = millimetres(at, "--at") if at else None
    with terminal.data_errors():
        session = open_session(
            ct,
            series=series,
            accept_suspicious=accept_suspicious,
            masks=masks,
            legend=legend,
            device=device,
        )
        assert session.study is not None, "a session on a scan has it"
        drawn = None if region is None else _region(region, session.study.volume)
        positive = ""
        if prompt:
            asked = Prompt(prompt, negative, anatomy, read_templates(templates))
            load_and_encode(session, model, [asked.templates])
            positive = session.ask(asked).prompt.positive
        finding = _found(session, spot, cut=cut, drawn=drawn, positive=positive)
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
    from napari_ctclip.io import read_organ_masks

    read = read_organ_masks(path, volume, legend={"region": 1})
    terminal.print_notices(read.notices)
    mask = read.masks.labels == 1
    if not mask.any():
        raise DataError(f"{path}: no voxel of it is 1; a region needs at least one voxel")
    return Region.of(mask)


def _found(
    session: Session,
    spot: tuple[float, float, float] | None,
    *,
    cut: float | None,
    drawn: Region | None,
    positive: str,
) -> Finding:
    """Return the finding that the options mean.

    Raises
    ------
    DataError
        If the spot lies outside the scan, or its heat below the cut.
    """
    from napari_ctclip.session.findings_session import FindingsSession

    findings = FindingsSession(session)
    if drawn is not None:
        return findings.compute_drawn(drawn, positive=positive)
    assert session.study is not None, "a session on a scan has it"
    assert spot is not None, "without a region there is a spot"
    geometry = session.study.volume.geometry
    z, y, x = (round(place) for place in index_at(spot, geometry))
    if cut is not None:
        return findings.compute_region(positive, threshold=cut, seed=(z, y, x))
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
        terminal.out.print(f"{name:12s}{value or '-'}", markup=False)

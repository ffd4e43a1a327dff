"""How the command lines take a scan: its options, and reading it with its organ masks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_ctclip.cli import terminal
from napari_ctclip.core.errors import DataError
from napari_ctclip.core.template_set import TemplateSet

if TYPE_CHECKING:
    from napari_ctclip.core.geometry import Geometry
    from napari_ctclip.core.organ_masks import OrganMasks
    from napari_ctclip.core.volume import Volume
    from napari_ctclip.scoring.encoded_study import Ready
    from napari_ctclip.session.session import Session

__all__ = [
    "NO_MASKS",
    "QUICK_MASKS",
    "CtArgument",
    "DeviceOption",
    "LegendOption",
    "MasksOption",
    "ModelOption",
    "SeriesOption",
    "SuspiciousOption",
    "TemplatesOption",
    "encode",
    "index_at",
    "load_and_encode",
    "millimetres",
    "open_session",
    "quick_masks",
]

QUICK_MASKS, NO_MASKS = "quick", "none"

CtArgument = Annotated[
    Path, typer.Argument(help="NIfTI, NRRD or MHA file, or a DICOM folder.", show_default=False)
]
SeriesOption = Annotated[
    str | None, typer.Option(help="Series of a DICOM folder: its place in the list, or its number.")
]
MasksOption = Annotated[
    str, typer.Option(help="Organ masks: a label map file, 'quick' (made from HU) or 'none'.")
]
LegendOption = Annotated[
    str | None,
    typer.Option(
        help="What the numbers of --masks mean: a JSON or TSV file, 'totalsegmentator-v1' or "
        "'totalsegmentator-v2'."
    ),
]
SuspiciousOption = Annotated[
    bool, typer.Option("--accept-suspicious", help="Read values that do not look like HU.")
]
ModelOption = Annotated[str, typer.Option(help="Name of a model, or its folder.")]
TemplatesOption = Annotated[
    str, typer.Option(help="Wording: a template set by its name, or the one of a TOML file.")
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")]


def open_session(
    ct: Path,
    *,
    series: str | None,
    accept_suspicious: bool,
    masks: str,
    legend: str | None,
    device: str,
) -> Session:
    """Return a session on the scan with its organ masks that the options mean.

    All notices about them are printed.
    """
    from napari_ctclip.core.study import Study
    from napari_ctclip.io import read_volume
    from napari_ctclip.session.session import Session

    read = read_volume(ct, series=series, accept_suspicious=accept_suspicious)
    terminal.print_notices(read.notices)
    session = Session(device=device)
    session.set_study(Study(read.volume, _read_masks(read.volume, masks, legend=legend)))
    return session


def _read_masks(volume: Volume, masks: str, *, legend: str | None) -> OrganMasks | None:
    """Return the organ masks that ``--masks`` and ``--legend`` mean; their notices are printed."""
    from napari_ctclip.io import read_organ_masks

    if masks == NO_MASKS:
        return None
    if masks == QUICK_MASKS:
        return quick_masks(volume)
    read = read_organ_masks(Path(masks), volume, legend=legend)
    terminal.print_notices(read.notices)
    return read.masks


def quick_masks(volume: Volume) -> OrganMasks:
    """Return organ masks made from HU alone."""
    from napari_ctclip.segmentation.quick_masks import quick_organ_masks

    return quick_organ_masks(volume)


def encode(session: Session) -> None:
    """Encode the open scan, with a bar; its notices are printed."""
    with terminal.progress_bar("encoding") as progress:
        encoding = session.compute_encoding(session.work(progress))
    terminal.print_notices(encoding.notices)
    session.set_encoding(encoding)


def load_and_encode(session: Session, model: str, templates: Iterable[TemplateSet] = ()) -> Ready:
    """Load a model and let it encode the open scan; notices are printed.

    So are those about the templates that prompts will be put in.
    """
    from napari_ctclip.scoring.readout import templates_notices

    session.load_model(model)
    encode(session)
    ready = session.ready()
    for one in dict.fromkeys(templates):
        terminal.print_notices(templates_notices(ready.model, one))
    return ready


def millimetres(text: str, option: str) -> tuple[float, float, float]:
    """Return the three numbers that an option means.

    Raises
    ------
    typer.BadParameter
        If they are none.
    """
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError:
        x = y = z = math.nan
    if not all(map(math.isfinite, (x, y, z))):
        raise typer.BadParameter(f"{option} {text!r} is not three numbers in mm, e.g. -56,-86,-116")
    return x, y, z


def index_at(at_ras_mm: Sequence[float], geometry: Geometry) -> tuple[float, float, float]:
    """Return the place (z, y, x) in voxels that ``--at`` means.

    Raises
    ------
    DataError
        If it lies outside the scan.
    """
    z, y, x = geometry.world_to_index(at_ras_mm).tolist()
    if geometry.contains_index((z, y, x)):
        return z, y, x
    faces = geometry.index_to_world([[0, 0, 0], [n - 1 for n in geometry.shape]])
    low, high = faces.min(axis=0), faces.max(axis=0)
    reach = ", ".join(
        f"{name} {a:.0f} to {b:.0f}" for name, a, b in zip("xyz", low, high, strict=True)
    )
    told = ",".join(f"{mm:g}" for mm in at_ras_mm)
    raise DataError(f"--at {told} lies outside the scan, which reaches {reach} mm")

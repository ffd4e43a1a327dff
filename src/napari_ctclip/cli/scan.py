"""The options of a scan, declared once for every command that takes one, and what they mean."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from napari_ctclip.cli import terminal
from napari_ctclip.core.errors import DataError
from napari_ctclip.core.template_set import AS_TYPED, TemplateSet

if TYPE_CHECKING:
    from napari_ctclip.core.geometry import Geometry
    from napari_ctclip.core.organ_masks import OrganMasks
    from napari_ctclip.core.volume import Volume
    from napari_ctclip.scoring.encoded_study import Ready
    from napari_ctclip.session.session import Session

__all__ = [
    "NO_MASKS",
    "QUICK_MASKS",
    "DeviceOption",
    "ScanOptions",
    "encode",
    "index_at",
    "millimetres",
    "quick_masks",
    "takes_scan",
]

QUICK_MASKS, NO_MASKS = "quick", "none"

DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")]


@dataclass(frozen=True)
class ScanOptions:
    """A scan as a command line names it, the organ masks beside it, and the model that reads it.

    The fields are the options; :func:`takes_scan` gives a command those that it does not leave out.
    """

    ct: Annotated[
        Path, typer.Argument(help="NIfTI, NRRD or MHA file, or a DICOM folder.", show_default=False)
    ]
    series: Annotated[
        str | None,
        typer.Option(help="Series of a DICOM folder: its position in the list, or its number."),
    ] = None
    masks: Annotated[
        str, typer.Option(help="Organ masks: a label map file, 'quick' (made from HU) or 'none'.")
    ] = QUICK_MASKS
    legend: Annotated[
        str | None,
        typer.Option(
            help="What the numbers of --masks mean: a JSON or TSV file, 'totalsegmentator-v1' or "
            "'totalsegmentator-v2'."
        ),
    ] = None
    accept_suspicious: Annotated[
        bool, typer.Option("--accept-suspicious", help="Read values that do not look like HU.")
    ] = False
    templates: Annotated[
        str,
        typer.Option(help="Prompt template: the name of a template set, or a TOML file of one."),
    ] = AS_TYPED.name
    model: Annotated[str, typer.Option(help="Name of a model, or its folder.")] = "starter"
    device: DeviceOption = "auto"

    def open(self, *, with_masks: bool = True) -> Session:
        """Return a session on the scan with its organ masks; all notices are printed."""
        from napari_ctclip.core.study import Study
        from napari_ctclip.io.ct.read import read_volume
        from napari_ctclip.session.session import Session

        read = read_volume(self.ct, series=self.series, accept_suspicious=self.accept_suspicious)
        terminal.print_notices(read.notices)
        session = Session(device=self.device)
        masks = self._read_masks(read.volume) if with_masks else None
        session.set_study(Study(read.volume, masks))
        return session

    def encode(self, session: Session, templates: Iterable[TemplateSet] = ()) -> Ready:
        """Load the model and let it encode the open scan; notices are printed.

        So are those about the templates that prompts will be put in.
        """
        from napari_ctclip.scoring.readout import templates_notices

        session.load_model(self.model)
        encode(session)
        ready = session.ready()
        for one in dict.fromkeys(templates):
            terminal.print_notices(templates_notices(ready.model, one))
        return ready

    def _read_masks(self, volume: Volume) -> OrganMasks | None:
        from napari_ctclip.io.masks.organ_mask_files import read_organ_masks

        if self.masks == NO_MASKS:
            return None
        if self.masks == QUICK_MASKS:
            return quick_masks(volume)
        read = read_organ_masks(Path(self.masks), volume, legend=self.legend)
        terminal.print_notices(read.notices)
        return read.masks


def takes_scan(
    *, without: Collection[str] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of a scan, as its first parameter ``scan``.

    Parameters
    ----------
    without : collection of str
        The options that it does not have; an option that the command declares itself is its own.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        _, *own = inspect.signature(command, eval_str=True).parameters.values()
        left_out = {*without, *(parameter.name for parameter in own)}
        shared = [one for one in _option_parameters() if one.name not in left_out]
        names = [one.name for one in shared]

        @wraps(command)
        def run(**given: Any) -> None:
            scan = ScanOptions(**{name: given.pop(name) for name in names})
            command(scan, **given)

        parameters = [shared[0], *own, *shared[1:]]  # the scan first, its other options last
        keywords = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
        run.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in keywords}
        return run

    return decorate


def _option_parameters() -> list[inspect.Parameter]:
    hints = get_type_hints(ScanOptions, globals(), {}, include_extras=True)
    return [
        inspect.Parameter(
            one.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if one.default is MISSING else one.default,
            annotation=hints[one.name],
        )
        for one in fields(ScanOptions)
    ]


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
    """Return the voxel (z, y, x), not rounded, that ``--at`` means.

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
    typed = ",".join(f"{mm:g}" for mm in at_ras_mm)
    raise DataError(f"--at {typed} lies outside the scan, which reaches {reach} mm")

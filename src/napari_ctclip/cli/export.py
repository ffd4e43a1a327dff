"""``napari-ctclip export`` and the export options of ``score``."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_ctclip.cli import terminal
from napari_ctclip.cli.scan import DeviceOption, encode

if TYPE_CHECKING:
    from napari_ctclip.core.finding import Finding
    from napari_ctclip.exporting.content import ExportKind
    from napari_ctclip.session.session import Session

__all__ = [
    "USUAL_SIZE",
    "ExportOption",
    "FindingsOption",
    "SizeOption",
    "export_session",
    "findings_of",
    "kinds_of",
    "size_of",
    "write",
]

USUAL_SIZE = "1650x506"
_EVERYTHING = "all"
_KINDS = ("csv", "nifti", "png", "dicom-seg", "dicom-pm", "html", "pdf", "script")
_EVERYDAY = ("csv", "nifti", "png")
_OLD_KINDS = {"recipe": "script"}  # until 0.1

ExportOption = Annotated[
    list[str] | None,
    typer.Option(
        help=f"What to write, repeatable: {', '.join(_KINDS)} or all "
        f"(default: {', '.join(_EVERYDAY)})."
    ),
]
SizeOption = Annotated[str, typer.Option(help="Width x height of each PNG, pixels.")]
FindingsOption = Annotated[
    float | None,
    typer.Option(
        min=0.05,
        max=0.95,
        help="Make a finding of each prompt's heatmap about its peak, above this fraction of the "
        "peak.",
    ),
]


def export_session(
    session_file: Annotated[
        Path, typer.Argument(help="A saved session (.ctclip.zip).", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    ct: Annotated[
        Path | None, typer.Option(help="Where the scan lies now, if it was moved.")
    ] = None,
    export: ExportOption = None,
    figure_size: SizeOption = USUAL_SIZE,
    device: DeviceOption = "auto",
) -> None:
    """Write the exports of a saved session: its findings, and its prompts scored again."""
    kinds, size = kinds_of(export), size_of(figure_size)

    from napari_ctclip.core.study import Study
    from napari_ctclip.session.files.archive import read_session
    from napari_ctclip.session.files.saved_session import read_scan
    from napari_ctclip.session.session import Session

    saved = read_session(session_file)
    read = read_scan(saved.scan, ct)
    terminal.print_notices(read.notices)
    session = Session(device=device)
    session.set_study(Study(read.volume, saved.masks))
    if saved.model is not None and saved.prompts:
        session.load_model(saved.model.source)
        assert session.model is not None, "it was loaded"
        saved.model.refuse_other_weights(session.model)
        encode(session)
        for kept in saved.prompts:
            session.ask(kept.prompt)
    source = "" if saved.model is None else saved.model.source
    files = write(
        session, out, findings=saved.findings, kinds=kinds, size=size, model_source=source
    )
    terminal.say(f"{len(files)} files in {out}")


def kinds_of(names: Sequence[str] | None) -> tuple[str, ...]:
    """Return the kinds that ``--export`` means.

    Raises
    ------
    typer.BadParameter
        If one is unknown.
    """
    wanted = tuple(_OLD_KINDS.get(name, name) for name in names or _EVERYDAY)
    unknown = [name for name in wanted if name not in (*_KINDS, _EVERYTHING)]
    if unknown:
        raise typer.BadParameter(
            f"--export {unknown[0]!r} is unknown; expected {', '.join(_KINDS)} or all"
        )
    return _KINDS if _EVERYTHING in wanted else wanted


def size_of(text: str) -> tuple[int, int]:
    """Return the size that ``--figure-size`` means.

    Raises
    ------
    typer.BadParameter
        If it is not of the form 1650x506.
    """
    found = re.fullmatch(r"(\d+)x(\d+)", text.strip().lower())
    if found is None:
        raise typer.BadParameter(f"--figure-size {text!r}: expected width x height, e.g. 1650x506")
    return int(found[1]), int(found[2])


def findings_of(session: Session, *, fraction: float | None) -> tuple[Finding, ...]:
    """Return a proposed finding of each heatmap about its peak; none without a fraction."""
    if fraction is None:
        return ()
    from napari_ctclip.session.findings_session import FindingsSession

    findings = FindingsSession(session)
    for answer in session.answers:
        peak = answer.focus.peak.value
        if peak > 0:  # below a tie with the negatives there is nothing to outline
            made = findings.compute_region(answer.prompt.positive, threshold=fraction * peak)
            findings.put(made)
    return findings.findings


def write(
    session: Session,
    out: Path,
    *,
    findings: Sequence[Finding] = (),
    kinds: Collection[str] = _EVERYDAY,
    size: tuple[int, int] | None = None,
    model_source: str = "starter",
) -> tuple[Path, ...]:
    """Write exports, print what could not be written, and return the files."""
    from napari_ctclip.exporting.content import ExportContent, ExportKind
    from napari_ctclip.exporting.write_exports import write_exports
    from napari_ctclip.figures.figures import DEFAULT_SIZE

    content = ExportContent.of(session, findings, model_source=model_source)
    chosen: list[ExportKind] = [ExportKind(kind) for kind in kinds]
    written = write_exports(content, out, kinds=chosen, figure_size=size or DEFAULT_SIZE)
    terminal.print_notices(written.notices)
    return written.files

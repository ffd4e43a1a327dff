"""``napari-ctclip``: the commands of the first program, a file each but for the small ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_ctclip.cli import terminal
from napari_ctclip.cli.evaluate import compare, evaluate
from napari_ctclip.cli.export import export_session
from napari_ctclip.cli.export import write as write_exports
from napari_ctclip.cli.faithfulness import deletion_test, occlude
from napari_ctclip.cli.measure import measure
from napari_ctclip.cli.models import app as models_app
from napari_ctclip.cli.organs import organs
from napari_ctclip.cli.patches import patches
from napari_ctclip.cli.probe import probe
from napari_ctclip.cli.program import VersionOption, make_program
from napari_ctclip.cli.read_report import read_report
from napari_ctclip.cli.scan import NO_MASKS, QUICK_MASKS, ScanOptions, quick_masks, takes_scan
from napari_ctclip.cli.score import print_answers, score
from napari_ctclip.cli.words import words

if TYPE_CHECKING:
    from napari_ctclip.core.organ_masks import OrganMasks
    from napari_ctclip.core.volume import Volume

__all__ = ["app"]

app = make_program(
    "napari-ctclip",
    help_text="Type a finding, see where it is on a CT. Research use only, not a medical device.",
)


@app.callback()
def _options(version: VersionOption = False) -> None:
    """Take the options that stand before a command."""


@takes_scan(without=("legend", "accept_suspicious", "templates", "device"))
def view(
    scan: ScanOptions,
    prompt: Annotated[
        list[str] | None, typer.Option(help="Prompt to score at once; repeatable.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Name or folder; that of the settings without it.")
    ] = None,
) -> None:
    """Open a CT in napari with the CT-CLIP panel."""
    from napari_ctclip.plugin.shell.launch import open_window

    masks = None if scan.masks in (QUICK_MASKS, NO_MASKS) else Path(scan.masks)
    open_window(
        scan.ct,
        masks=masks,
        prompts=tuple(prompt or ()),
        model=model,
        series=scan.series,
        quick_masks=scan.masks == QUICK_MASKS,
    )
    import napari

    napari.run()


@takes_scan(without=("masks", "legend", "templates", "model", "device"))
def segment(
    scan: ScanOptions,
    out: Annotated[
        Path, typer.Option(help="Label map to write (.nii.gz); its legend goes beside.")
    ],
    method: Annotated[
        str, typer.Option(help="quick (from HU, needs nothing) or totalsegmentator (installed).")
    ] = QUICK_MASKS,
    fast: Annotated[bool, typer.Option(help="TotalSegmentator's 3 mm model.")] = False,
) -> None:
    """Write organ masks of a CT."""
    if method not in (QUICK_MASKS, "totalsegmentator"):
        raise typer.BadParameter(f"{method!r} is neither 'quick' nor 'totalsegmentator'")
    from napari_ctclip.io.ct.read import read_volume
    from napari_ctclip.io.export.exports import write_organ_masks

    read = read_volume(scan.ct, series=scan.series, accept_suspicious=scan.accept_suspicious)
    terminal.print_notices(read.notices)
    quick = method == QUICK_MASKS
    masks = quick_masks(read.volume) if quick else _total(read.volume, fast=fast)
    write_organ_masks(masks, read.volume, out)
    for name, millilitres in masks.volumes_ml().items():
        terminal.say(f"{name:28s} {millilitres:9.1f} ml")


def demo(
    ct: Annotated[Path | None, typer.Argument(help="Your own CT; a simulated one if none.")] = None,
    out: Annotated[Path, typer.Option(help="Where results go.")] = Path("demo_output"),
    window: Annotated[
        bool | None, typer.Option(help="Keep the window open (default: if there is a display).")
    ] = None,
) -> None:
    """Open a chest CT, type findings, show where they are; without a display, save the picture."""
    from napari_ctclip.plugin.shell.display import has_display, restart_under_xvfb

    interactive = has_display() if window is None else window
    if not has_display():
        restart_under_xvfb("napari_ctclip.cli.main", "--no-window")
    from napari_ctclip.plugin.shell.demo import run_demo

    session = run_demo(ct, out, interactive=interactive)
    files = write_exports(session, out)
    print_answers(session)
    for path in sorted({*files, *out.glob("window*.png")}):
        terminal.say(f"  {path}")
    if interactive:
        import napari

        napari.run()


def _total(volume: Volume, *, fast: bool) -> OrganMasks:
    from napari_ctclip.segmentation.totalsegmentator import segment_with_totalsegmentator

    with terminal.error_console().status("TotalSegmentator ..."):
        return segment_with_totalsegmentator(volume, fast=fast)


for _command in (
    demo, view, score, segment, organs, probe, measure, patches, words, read_report, occlude,
    deletion_test, evaluate, compare,
):  # fmt: skip
    app.command()(_command)
app.command("export")(export_session)
app.add_typer(models_app, name="models")

if __name__ == "__main__":
    app()

"""``napari-ctclip``: view, score, probe, measure, read-report, erase, export, segment, demo ...

Exit codes: 0 done, 2 a bad command, 3 bad data (one clear line on standard error).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_ctclip.cli import audit as cli_audit
from napari_ctclip.cli import evaluate as cli_evaluate
from napari_ctclip.cli import export as cli_export
from napari_ctclip.cli import faithfulness as cli_truth
from napari_ctclip.cli import measure as cli_measure
from napari_ctclip.cli import models as cli_models
from napari_ctclip.cli import organs as cli_organs
from napari_ctclip.cli import patches as cli_patches
from napari_ctclip.cli import probe as cli_probe
from napari_ctclip.cli import read_report as cli_read_report
from napari_ctclip.cli import terminal
from napari_ctclip.cli import words as cli_words
from napari_ctclip.cli.scan import (
    NO_MASKS,
    QUICK_MASKS,
    CtArgument,
    DeviceOption,
    LegendOption,
    MasksOption,
    ModelOption,
    SeriesOption,
    SuspiciousOption,
    load_and_encode,
    open_session,
    quick_masks,
)
from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.template_set import AS_TYPED
from napari_ctclip.io.template_files import read_templates

if TYPE_CHECKING:
    from napari_ctclip.core.organ_masks import OrganMasks
    from napari_ctclip.core.volume import Volume
    from napari_ctclip.session.session import Session

__all__ = ["app", "main"]

app = typer.Typer(
    help="Type a finding, see where it is on a CT. Research use only, not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cli_models.app.command("audit")(cli_audit.audit_scan)
app.add_typer(cli_models.app, name="models")
app.command()(cli_probe.probe)
app.command()(cli_measure.measure)
app.command()(cli_organs.organs)
app.command()(cli_patches.patches)
app.command()(cli_truth.erase)
app.command()(cli_truth.deletion_curve)
app.command("read-report")(cli_read_report.read_report_of)
app.command()(cli_words.words)
app.command()(cli_evaluate.evaluate)
app.command()(cli_evaluate.compare)
app.command("export")(cli_export.export_session)


@app.command()
def view(
    ct: CtArgument,
    prompt: Annotated[list[str] | None, typer.Option(help="Ask this at once; repeatable.")] = None,
    series: SeriesOption = None,
    masks: MasksOption = QUICK_MASKS,
    model: Annotated[
        str | None, typer.Option(help="Name or folder; that of the settings without it.")
    ] = None,
) -> None:
    """Open a CT in napari with the CT-CLIP panel."""
    with terminal.data_errors():
        from napari_ctclip.plugin.shell.launch import open_window

        masks_file = None if masks in (QUICK_MASKS, NO_MASKS) else Path(masks)
        open_window(
            ct,
            masks=masks_file,
            prompts=tuple(prompt or ()),
            model=model,
            series=series,
            quick_masks=masks == QUICK_MASKS,
        )
        import napari

        napari.run()


@app.command()
def score(
    ct: CtArgument,
    prompt: Annotated[list[str], typer.Option(help="A finding in words; repeatable.")],
    out: Annotated[Path, typer.Option(help="Folder for scores, heatmaps, figures, provenance.")],
    negative: Annotated[
        list[str] | None,
        typer.Option(help="What the prompts are held against, one each or one for all."),
    ] = None,
    templates: Annotated[
        list[str] | None,
        typer.Option(
            help="Wording of the prompts: a template set by its name, or the one of a TOML file; "
            "one each or one for all."
        ),
    ] = None,
    series: SeriesOption = None,
    masks: MasksOption = QUICK_MASKS,
    legend: LegendOption = None,
    accept_suspicious: SuspiciousOption = False,
    model: ModelOption = "starter",
    device: DeviceOption = "auto",
    export: cli_export.ExportOption = None,
    figure_size: cli_export.SizeOption = cli_export.USUAL_SIZE,
    findings_at: cli_export.FindingsOption = None,
) -> None:
    """Ask a CT for findings, without a window: scores.csv, heatmaps, figures, provenance.json."""
    asked = _paired(prompt, negative or [])
    wordings = _one_each(templates or [AS_TYPED.name], asked, option="--templates")
    kinds, size = cli_export.kinds_of(export), cli_export.size_of(figure_size)
    with terminal.data_errors():
        pairs = zip(asked, map(read_templates, wordings), strict=True)
        prompts = [replace(question, templates=found) for question, found in pairs]
        session = open_session(
            ct,
            series=series,
            accept_suspicious=accept_suspicious,
            masks=masks,
            legend=legend,
            device=device,
        )
        load_and_encode(session, model, (question.templates for question in prompts))
        for question in prompts:
            session.ask(question)
        findings = cli_export.findings_of(session, share=findings_at)
        files = cli_export.write(
            session, out, findings=findings, kinds=kinds, size=size, model_source=model
        )
    _print_answers(session)
    terminal.out.print(f"{len(files)} files in {out}")


@app.command()
def segment(
    ct: CtArgument,
    out: Annotated[
        Path, typer.Option(help="Label map to write (.nii.gz); its legend goes beside.")
    ],
    method: Annotated[
        str, typer.Option(help="quick (from HU, needs nothing) or totalsegmentator (installed).")
    ] = QUICK_MASKS,
    fast: Annotated[bool, typer.Option(help="TotalSegmentator's 3 mm model.")] = False,
    series: SeriesOption = None,
    accept_suspicious: SuspiciousOption = False,
) -> None:
    """Write organ masks of a CT."""
    if method not in (QUICK_MASKS, "totalsegmentator"):
        raise typer.BadParameter(f"{method!r} is neither 'quick' nor 'totalsegmentator'")
    with terminal.data_errors():
        from napari_ctclip.io import read_volume
        from napari_ctclip.io.export.exports import write_organ_masks

        read = read_volume(ct, series=series, accept_suspicious=accept_suspicious)
        terminal.print_notices(read.notices)
        quick = method == QUICK_MASKS
        masks = quick_masks(read.volume) if quick else _total(read.volume, fast=fast)
        write_organ_masks(masks, read.volume, out)
    for name, millilitres in masks.volumes_ml().items():
        terminal.out.print(f"{name:28s} {millilitres:9.1f} ml")


@app.command()
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
    with terminal.data_errors():
        if not has_display():
            restart_under_xvfb("napari_ctclip.cli.main", "--no-window")
        from napari_ctclip.plugin.shell.demo import run_demo

        session = run_demo(ct, out, interactive=interactive)
        files = cli_export.write(session, out)
    _print_answers(session)
    for path in sorted({*files, *out.glob("window*.png")}):
        terminal.out.print(f"  {path}")
    if interactive:
        import napari

        napari.run()


def main() -> None:
    """Run the command line."""
    app()


# --- inside -------------------------------------------------------------------------------------


def _paired(positives: Sequence[str], negatives: Sequence[str]) -> list[Prompt]:
    if any(not text.strip() for text in positives):
        raise typer.BadParameter("a --prompt needs at least one word, e.g. 'lung nodule'")
    held_against = _one_each(negatives or [""], positives, option="--negative")
    return [Prompt(p, n) for p, n in zip(positives, held_against, strict=True)]


def _one_each(texts: Sequence[str], prompts: Sequence[object], *, option: str) -> list[str]:
    """Return one text a prompt; one alone is for all of them."""
    if len(texts) not in (1, len(prompts)):
        raise typer.BadParameter(
            f"{len(texts)} {option} for {len(prompts)} --prompt; give none, one for all, or one "
            "each"
        )
    return list(texts) * (len(prompts) if len(texts) == 1 else 1)


def _total(volume: Volume, *, fast: bool) -> OrganMasks:
    from napari_ctclip.segmentation.totalsegmentator import segment_with_totalsegmentator

    with terminal.err.status("TotalSegmentator ..."):
        return segment_with_totalsegmentator(volume, fast=fast)


def _print_answers(session: Session) -> None:
    terminal.print_notices(dict.fromkeys(n for a in session.answers for n in a.notices))
    for answer in session.answers:
        best = answer.focus
        x, y, z = best.peak.world_mm
        terminal.out.print(
            f"{answer.prompt.positive:28s} {anatomy_label(best.anatomy):14s} "
            f"probability {best.probability:.2f}  similarity {best.similarity:+.3f}  "
            f"peak x {x:.0f} y {y:.0f} z {z:.0f} mm",
            markup=False,
        )


if __name__ == "__main__":
    main()

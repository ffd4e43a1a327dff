"""``napari-ctclip-train prepare``: an archive of scans and reports to a training set."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_ctclip.cli import terminal
from napari_ctclip.core.errors import CtClipError

if TYPE_CHECKING:
    from napari_ctclip.io.store.study_record import StoreSpecification
    from napari_ctclip.preparation.estimate import Estimate
    from napari_ctclip.preparation.preparation import Options, Plan, Summary

__all__ = ["prepare"]

SourceArgument = Annotated[
    Path, typer.Argument(help="Folder of scans, or a manifest (.jsonl, .csv).", show_default=False)
]
OutOption = Annotated[Path, typer.Option("--out", help="Folder of the training set.")]
LayoutOption = Annotated[
    str, typer.Option(help="auto, manifest, table, ct-rate, fvlm, merlin or radiographs.")
]
ReportsOption = Annotated[
    Path | None, typer.Option(help="Table of reports (CSV), or Merlin's organ reports (JSON).")
]
NormalOption = Annotated[Path | None, typer.Option(help="Merlin's JSON of normal organs.")]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        help="What a column of --reports is: study=Accession, findings=Text, label:Emphysema=Emph; "
        "repeatable. Fields: study, patient, image, masks, legend, series, report, findings, "
        "impression, split, label:NAME.",
    ),
]
MasksOption = Annotated[
    str,
    typer.Option(
        help="Organ masks: auto (the file's, else TotalSegmentator's where installed, else quick), "
        "file, totalsegmentator, quick, none."
    ),
]
MasksFolderOption = Annotated[
    Path | None, typer.Option(help="Folder of label maps called like their studies.")
]
AnatomiesOption = Annotated[
    Path | None, typer.Option(help="Table of anatomies (TOML) in place of the 36 shipped ones.")
]
AnatomyOption = Annotated[
    list[str] | None, typer.Option(help="Keep only this anatomy of the table; repeatable.")
]
SpacingOption = Annotated[
    tuple[float, float, float], typer.Option(help="Voxel spacing z y x of the model, mm.")
]
OrientationOption = Annotated[str, typer.Option(help="Axis code of the model, e.g. IPL, SPL.")]
PixelsOption = Annotated[int, typer.Option(help="Radiographs: shorter side, pixels.", min=32)]
WorkersOption = Annotated[
    int | None, typer.Option(help="Processes on this machine; the cores if left out.", min=1)
]
ValidOption = Annotated[float, typer.Option(help="Fraction of patients to validate on.")]
TestOption = Annotated[float, typer.Option(help="Fraction of patients to test on.")]
SeedOption = Annotated[int, typer.Option(help="Of the split.")]
LanguageOption = Annotated[
    bool, typer.Option("--any-language", help="Keep reports that are not English.")
]
SchedulerOption = Annotated[str, typer.Option(help="local, or the address of a Dask scheduler.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Say what there is to do and what it takes; stop.")
]


def prepare(
    source: SourceArgument,
    out: OutOption,
    layout: LayoutOption = "auto",
    reports: ReportsOption = None,
    normal: NormalOption = None,
    column: ColumnOption = None,
    masks: MasksOption = "auto",
    masks_folder: MasksFolderOption = None,
    anatomies: AnatomiesOption = None,
    anatomy: AnatomyOption = None,
    spacing: SpacingOption = (2.0, 2.0, 2.0),
    orientation: OrientationOption = "IPL",
    pixels: PixelsOption = 512,
    valid_share: ValidOption = 0.1,
    test_share: TestOption = 0.0,
    seed: SeedOption = 0,
    any_language: LanguageOption = False,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = "local",
    dry_run: DryRunOption = False,
) -> None:
    """Make a training set of an archive: manifest, store of scans and masks, quality report.

    Stopped at any moment and started again, it resumes.
    """
    _require_train_extra()
    from napari_ctclip.preparation.preparation import Options, plan_preparation
    from napari_ctclip.preparation.sources.archive import Source, draft_of

    options = Options(
        valid_share,
        test_share,
        seed,
        any_language=any_language,
        workers=workers or os.cpu_count() or 1,
        scheduler=scheduler,
    )
    is_flat = layout == "radiographs"
    specification = (
        _radiographs(pixels)
        if is_flat
        else _scans(spacing, orientation, masks, table=anatomies, chosen=anatomy or [])
    )
    where = Source(source, layout, reports, normal, tuple(column or ()), masks_folder)
    plan = plan_preparation(draft_of(where), options)
    _print_plan(plan)
    if dry_run:
        _estimate_only(plan, specification, options)
        return
    summary = _run(plan, out, specification, options)
    _print_summary(summary, out)


def _scans(
    spacing: tuple[float, float, float],
    orientation: str,
    masks: str,
    *,
    table: Path | None,
    chosen: list[str],
) -> StoreSpecification:
    from napari_ctclip.core.anatomy_table import SHIPPED_TABLE, read_anatomy_table
    from napari_ctclip.core.geometry import Geometry
    from napari_ctclip.io.store.study_record import StoreSpecification
    from napari_ctclip.preparation.masks import require_choice

    require_choice(masks)
    if min(spacing) <= 0:
        raise CtClipError(f"--spacing {spacing}: expected three lengths above 0 mm")
    if len(orientation) != 3:
        raise CtClipError(f"--orientation {orientation!r}: expected three letters, e.g. IPL")
    Geometry.from_spacing((1, 1, 1), spacing, codes=orientation.upper())
    anatomies = read_anatomy_table(table or SHIPPED_TABLE)
    if chosen:
        anatomies = anatomies.only(chosen)
    parts = {} if masks == "none" else dict(anatomies.parts)
    return StoreSpecification(
        orientation=orientation.upper(),
        spacing_mm=spacing,
        anatomies=tuple(parts),
        parts=parts,
        masks=masks,
    )


def _radiographs(pixels: int) -> StoreSpecification:
    from napari_ctclip.io.store.study_record import StoreSpecification

    return StoreSpecification(
        kind="radiograph", spacing_mm=(1.0, 1.0, 1.0), masks="none", shorter_side=pixels
    )


def _run(plan: Plan, out: Path, specification: StoreSpecification, options: Options) -> Summary:
    from napari_ctclip.preparation.preparation import Listener, prepare

    with terminal.bar(counts=True) as bar:
        task = bar.add_task("preparing", total=None)
        listener = Listener(
            estimate=_print_estimate,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
        return prepare(plan, out, specification, options=options, listener=listener)


def _estimate_only(plan: Plan, specification: StoreSpecification, options: Options) -> None:
    from napari_ctclip.preparation.preparation import estimate_plan

    _print_estimate(estimate_plan(plan, specification, options))
    terminal.say("dry run: nothing was written")


def _print_plan(plan: Plan) -> None:
    terminal.print_notices(plan.notices)
    splits = Counter(entry.split for entry in plan.entries)
    listed = ", ".join(f"{splits[name]} {name}" for name in ("train", "valid", "test"))
    patients = len({entry.patient_id for entry in plan.entries})
    terminal.say(
        f"{len(plan.entries)} studies of {patients} patients ({listed}); "
        f"{len(plan.rejections)} set aside by their tables"
    )


def _print_estimate(estimate: Estimate) -> None:
    if not estimate.sampled:
        terminal.say(f"{estimate.studies} to prepare; none of the first could be measured")
        return
    minutes = estimate.seconds / 60
    spent = f"{minutes:.0f} min" if minutes >= 2 else f"{estimate.seconds:.0f} s"
    terminal.say(
        f"{estimate.studies} to prepare: about {spent} and {estimate.disk_bytes / 1e9:.2f} GB "
        f"(from {estimate.sampled} studies)"
    )


def _print_summary(summary: Summary, out: Path) -> None:
    suspicious = len({suspicion.study_id for suspicion in summary.suspicions})
    terminal.say(
        f"{summary.kept} studies in {out}; {len(summary.rejections)} set aside, "
        f"{suspicious} suspicious"
    )
    codes = Counter(rejection.code for rejection in summary.rejections)
    for code, count in codes.most_common():
        first = next(r for r in summary.rejections if r.code == code)
        terminal.say(f"  {count:5d} {code:24s} e.g. {first.study_id}")
    for file in summary.files:
        terminal.say(f"  {file}")


def _require_train_extra() -> None:
    """Refuse with one line where the extra's libraries are missing."""
    from importlib.util import find_spec

    missing = [n for n in ("distributed", "filelock", "jinja2", "PIL", "zarr") if not find_spec(n)]
    if missing:
        raise CtClipError(
            f"preparing a training set needs {', '.join(missing)}; "
            'install them with pip install "napari-ctclip[train]"'
        )

"""``napari-ctclip patches``: the patches of a CT that look like the prompts, as a montage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from napari_ctclip import terminal
from napari_ctclip.core.volume import WINDOWS

if TYPE_CHECKING:
    from napari_ctclip.core.organ_masks import OrganMasks
    from napari_ctclip.core.volume import Volume
    from napari_ctclip.montage_session import MontageSession
    from napari_ctclip.regions.patches import PatchPlan
    from napari_ctclip.regions.ranking import TileOrder
    from napari_ctclip.scoring.patch_scores import Pooling, ScoreMode

__all__ = ["patches"]


def patches(
    ct: Annotated[
        Path, typer.Argument(help="NIfTI, NRRD or MHA file, or a DICOM folder.", show_default=False)
    ],
    target: Annotated[list[str], typer.Option(help="What is looked for; repeat for wordings.")],
    out: Annotated[Path, typer.Option(help="Folder for montage, table and provenance.")],
    control: Annotated[
        list[str] | None,
        typer.Option(help="What it is held against; repeatable. Default: normal lung and others."),
    ] = None,
    mode: Annotated[str, typer.Option(help="contrast, cosine or softmax.")] = "contrast",
    pooling: Annotated[str, typer.Option(help="Of several targets: lse or max.")] = "lse",
    masks: Annotated[
        str, typer.Option(help="Organ masks: a label map file, 'quick' or 'none' (whole scan).")
    ] = "quick",
    legend: Annotated[
        str | None, typer.Option(help="What the numbers of --masks mean, as for score.")
    ] = None,
    organ: Annotated[str, typer.Option(help="Where to look; '' is the whole scan.")] = "lung",
    model: Annotated[str, typer.Option(help="A model of pictures.")] = "starter-2d",
    k: Annotated[int | None, typer.Option(help="Patches at most; default: the grid's.")] = None,
    grid: Annotated[str, typer.Option(help="Rows x columns of tiles.")] = "4x4",
    tile: Annotated[int, typer.Option(help="Pixels along a tile.")] = 56,
    order: Annotated[str, typer.Option(help="Of the tiles: score or z.")] = "score",
    window: Annotated[str, typer.Option(help="Of the picture: Lung, Mediastinum ...")] = "Lung",
    size_mm: Annotated[float, typer.Option(help="Side of a patch.")] = 64.0,
    stride_mm: Annotated[float, typer.Option(help="From one to the next; 0: half.")] = 0.0,
    series: Annotated[str | None, typer.Option(help="Series of a DICOM folder.")] = None,
    accept_suspicious: Annotated[
        bool, typer.Option("--accept-suspicious", help="Read values that do not look like HU.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda ...")] = "auto",
) -> None:
    """Find the patches of a CT that look like the prompts: montage.png, patches.csv."""
    rows, columns = _grid(grid)
    count = rows * columns if k is None else k
    if not 1 <= count <= rows * columns:
        raise typer.BadParameter(f"--k {count} does not fit a grid of {rows} x {columns} tiles")
    if order not in ("score", "z"):
        raise typer.BadParameter(f"--order {order!r} is neither 'score' nor 'z'")
    if window not in WINDOWS:
        raise typer.BadParameter(f"no window {window!r}; expected one of {', '.join(WINDOWS)}")
    with terminal.data_errors():
        from napari_ctclip.core.study import Study
        from napari_ctclip.io import read_volume
        from napari_ctclip.montage_session import MontageLayout, MontageSession
        from napari_ctclip.patch_files import write_patches
        from napari_ctclip.regions.patches import PatchPlan
        from napari_ctclip.scoring.patch_scores import DEFAULT_CONTROLS, PatchPrompts
        from napari_ctclip.session import Session

        prompts = PatchPrompts(
            tuple(target),
            tuple(control) if control else DEFAULT_CONTROLS,
            cast("ScoreMode", mode),
            cast("Pooling", pooling),
        )
        plan = PatchPlan(size_mm, stride_mm, "" if masks == "none" else organ)
        layout = MontageLayout(count, columns, tile, cast("TileOrder", order))
        session = Session(device=device)
        read = read_volume(ct, series=series, accept_suspicious=accept_suspicious)
        terminal.print_notices(read.notices)
        session.set_study(Study(read.volume, _masks(read.volume, masks, legend=legend)))
        montages = MontageSession(session, model_name=model)
        montages.set_layout(layout)
        _encode(montages, plan)
        montages.set_ranking(montages.compute_ranking(prompts))
        files = write_patches(montages, out, window=WINDOWS[window])
    _print_best(montages)
    terminal.out.print(f"{len(files)} files in {out}", markup=False)


def _grid(text: str) -> tuple[int, int]:
    rows, cross, columns = text.lower().partition("x")
    if not (cross and rows.isdecimal() and columns.isdecimal() and int(rows) * int(columns)):
        raise typer.BadParameter(f"--grid {text!r} is not rows x columns, e.g. 4x4")
    return int(rows), int(columns)


def _masks(volume: Volume, masks: str, *, legend: str | None) -> OrganMasks | None:
    from napari_ctclip.io import read_organ_masks
    from napari_ctclip.regions.quick_masks import quick_organ_masks

    if masks == "none":
        return None
    if masks == "quick":
        return quick_organ_masks(volume)
    read = read_organ_masks(Path(masks), volume, legend=legend)
    terminal.print_notices(read.notices)
    return read.masks


def _encode(montages: MontageSession, plan: PatchPlan) -> None:
    bar_columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*bar_columns, console=terminal.err, transient=True) as bar:
        task = bar.add_task("patches", total=None)
        prepared = montages.compute_patches(
            plan, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    terminal.print_notices(prepared.patches.notices)
    montages.set_patches(prepared)


def _print_best(montages: MontageSession, most: int = 4) -> None:
    assert montages.montage is not None, "a montage was made"
    assert montages.prepared is not None, "a montage is made of patches"
    shown = sorted(montages.montage.patches, key=lambda patch: -patch.score)
    for rank, patch in enumerate(shown[:most], start=1):
        x, y, z = patch.centre_mm
        terminal.out.print(
            f"{rank:3d}  score {patch.score:+.3f}  "
            f"slice {patch.voxel(montages.montage.geometry)[0]}  x {x:.0f} y {y:.0f} z {z:.0f} mm"
        )
    terminal.out.print(
        f"{len(shown)} of {len(montages.prepared.patches.grid)} patches shown; a score is relative "
        "to this scan and model"
    )

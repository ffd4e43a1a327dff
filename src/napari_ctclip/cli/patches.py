"""``napari-ctclip patches``: the patches of a CT that look like the prompts, as a montage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from napari_ctclip.cli import terminal
from napari_ctclip.cli.scan import NO_MASKS, ScanOptions, takes_scan

if TYPE_CHECKING:
    from napari_ctclip.evaluation.montage_task import ClassifiedMontage
    from napari_ctclip.evaluation.task_files import TaskSet
    from napari_ctclip.regions.patches import PatchPlan
    from napari_ctclip.regions.ranking import TileOrder
    from napari_ctclip.scoring.patch_scores import PatchPrompts, Pooling, ScoreMode
    from napari_ctclip.session.montage_session import MontageSession

__all__ = ["patches"]

TaskOption = Annotated[
    str | None,
    typer.Option(help="Classify the whole montage: a shipped task set, or a TOML file."),
]


@takes_scan(without=("templates",))
def patches(
    scan: ScanOptions,
    target: Annotated[
        list[str], typer.Option(help="Target prompt; repeat it for other phrasings.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for montage, table and provenance.")],
    control: Annotated[
        list[str] | None,
        typer.Option(help="Control prompt, repeatable. Default: normal lung and others."),
    ] = None,
    mode: Annotated[str, typer.Option(help="contrast, cosine or softmax.")] = "contrast",
    pooling: Annotated[str, typer.Option(help="Of several targets: lse or max.")] = "lse",
    task: TaskOption = None,
    organ: Annotated[str, typer.Option(help="Where to look; '' is the whole scan.")] = "lung",
    model: Annotated[
        str,
        typer.Option(help="Name or folder. A model of volumes ranks patches by their best token."),
    ] = "starter",
    k: Annotated[int | None, typer.Option(help="Patches at most; default: the grid's.")] = None,
    grid: Annotated[str, typer.Option(help="Rows x columns of tiles.")] = "4x4",
    tile: Annotated[int, typer.Option(help="Pixels along a tile.")] = 56,
    order: Annotated[str, typer.Option(help="Of the tiles: score or z.")] = "score",
    window: Annotated[str, typer.Option(help="Of the picture: Lung, Mediastinum ...")] = "Lung",
    size_mm: Annotated[float, typer.Option(help="Side of a patch.")] = 64.0,
    stride_mm: Annotated[float, typer.Option(help="From one to the next; 0: half.")] = 0.0,
) -> None:
    """Find the patches of a CT that look like the prompts: montage.png, patches.csv."""
    rows, columns = terminal.rows_and_columns(grid)
    count = _count(k, rows, columns)
    _refuse_unknown(order, window)

    from napari_ctclip.core.volume import WINDOWS
    from napari_ctclip.evaluation.task_files import read_tasks
    from napari_ctclip.regions.patches import PatchPlan
    from napari_ctclip.regions.ranking import MontageLayout
    from napari_ctclip.scoring.patch_scores import DEFAULT_CONTROLS, PatchPrompts
    from napari_ctclip.session.montage_session import MontageSession
    from napari_ctclip.session.patch_files import write_patches

    prompts = PatchPrompts(
        tuple(target),
        tuple(control) if control else DEFAULT_CONTROLS,
        cast("ScoreMode", mode),
        cast("Pooling", pooling),
    )
    plan = PatchPlan(size_mm, stride_mm, "" if scan.masks == NO_MASKS else organ)
    layout = MontageLayout(count, columns, tile, cast("TileOrder", order))
    tasks = None if task is None else read_tasks(task)
    session = scan.open()
    montages = MontageSession(session, model_name=model)
    montages.set_layout(layout)
    _rank(montages, plan, prompts, tasks)
    files = write_patches(montages, out, window=WINDOWS[window])
    _print_best(montages)
    _print_classes(montages.classified)
    terminal.say(f"{len(files)} files in {out}")


def _rank(
    montages: MontageSession, plan: PatchPlan, prompts: PatchPrompts, tasks: TaskSet | None
) -> None:
    """Encode the patches, rank them by the prompts, and classify the montage by the tasks."""
    _encode(montages, plan)
    montages.set_ranking(montages.compute_ranking(prompts))
    if tasks is not None:
        montages.set_classes(montages.compute_classes(tasks))


def _count(k: int | None, rows: int, columns: int) -> int:
    count = rows * columns if k is None else k
    if not 1 <= count <= rows * columns:
        raise typer.BadParameter(f"--k {count} does not fit a grid of {rows} x {columns} tiles")
    return count


def _refuse_unknown(order: str, window: str) -> None:
    from napari_ctclip.core.volume import WINDOWS

    if order not in ("score", "z"):
        raise typer.BadParameter(f"--order {order!r} is neither 'score' nor 'z'")
    if window not in WINDOWS:
        raise typer.BadParameter(f"no window {window!r}; expected one of {', '.join(WINDOWS)}")


def _encode(montages: MontageSession, plan: PatchPlan) -> None:
    with terminal.progress_bar("patches") as progress:
        prepared = montages.compute_patches(plan, montages.session.work(progress))
    terminal.print_notices(prepared.patches.notices)
    montages.set_patches(prepared)


def _print_best(montages: MontageSession, most: int = 4) -> None:
    assert montages.montage is not None, "a montage was made"
    assert montages.prepared is not None, "a montage is made of patches"
    shown = sorted(montages.montage.patches, key=lambda patch: -patch.score)
    for rank, patch in enumerate(shown[:most], start=1):
        x, y, z = patch.centre_mm
        terminal.say(
            f"{rank:3d}  score {patch.score:+.3f}  "
            f"slice {patch.voxel(montages.montage.geometry)[0]}  x {x:.0f} y {y:.0f} z {z:.0f} mm"
        )
    terminal.say(
        f"{len(shown)} of {len(montages.prepared.patches.grid)} patches shown; a score is relative "
        "to this scan and model"
    )


def _print_classes(classified: ClassifiedMontage | None) -> None:
    if classified is None:
        return
    kind = (
        "softmax over all classes" if classified.tasks.exclusive else "each against its negatives"
    )
    terminal.say(f"the whole montage, {classified.tasks.name}, {kind}, not calibrated:")
    for one in sorted(classified.classes, key=lambda one: -one.probability):
        terminal.say(f"  {one.probability:.3f}  {one.label}")

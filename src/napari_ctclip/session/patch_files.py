"""Patch files: a montage as files that other programs read."""

from __future__ import annotations

import json
from pathlib import Path

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.montage import Montage
from napari_ctclip.core.volume import WINDOWS, Window
from napari_ctclip.evaluation.montage_task import MontageClass
from napari_ctclip.figures.figures import write_gray_picture
from napari_ctclip.io.csv_tables import write_csv_table
from napari_ctclip.io.files import replacing, write_text
from napari_ctclip.session.montage_session import MontageSession

__all__ = ["CLASS_COLUMNS", "PATCH_COLUMNS", "write_patches"]

PATCH_COLUMNS = (
    "rank", "score", "organ_share", "x_mm", "y_mm", "z_mm", "slice", "y_first", "y_last", "x_first",
    "x_last", "tile_row", "tile_column",
)  # fmt: skip
"""Columns of ``patches.csv``: the middle in the file's RAS world; slice and box in voxels of the
scan as this package holds it (axes I, P, L, counted from 0); the tile counted from 0."""

CLASS_COLUMNS = ("label", "similarity", "probability")
"""Columns of ``classes.csv``: what the montage as one picture answers to a task."""


def write_patches(
    session: MontageSession, folder: Path, *, window: Window | None = None
) -> list[Path]:
    """Write ``montage.png``, ``patches.csv`` and ``provenance.json``; return the files.

    A montage that was classified gets ``classes.csv`` as well.

    Parameters
    ----------
    session : MontageSession
        The session, with a montage.
    folder : Path
        Made if it does not exist. Files of the same name are replaced, each whole or not at all.
    window : Window, optional
        The display window of the picture; the lung window if None.

    Raises
    ------
    CtClipError
        If there is no montage.
    """
    montage = session.montage
    if montage is None:
        raise CtClipError("there is no montage yet; find patches first")
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / name for name in ("montage.png", "patches.csv", "provenance.json")]
    with replacing(files[0]) as partial:
        write_gray_picture(montage.picture(window or WINDOWS["Lung"]), partial)
    ranked = enumerate(montage.best_first(), start=1)
    rows = (_patch_row(montage, number, rank=rank) for rank, number in ranked)
    write_csv_table(files[1], PATCH_COLUMNS, rows)
    write_text(files[2], json.dumps(session.provenance(), indent=2) + "\n")
    if session.classified is not None:
        files.append(folder / "classes.csv")
        write_csv_table(files[-1], CLASS_COLUMNS, map(_class_row, session.classified.classes))
    return files


def _class_row(one: MontageClass) -> tuple[str, ...]:
    return one.label, f"{one.similarity:.6f}", f"{one.probability:.6f}"


def _patch_row(montage: Montage, number: int, *, rank: int) -> tuple[object, ...]:
    patch = montage.patches[number]
    box = patch.box(montage.geometry)
    return (
        rank,
        f"{patch.score:.6f}",
        f"{patch.organ_share:.3f}",
        *(f"{mm:.2f}" for mm in patch.centre_mm),
        box.z,
        *(f"{edge:.1f}" for edge in (*box.y, *box.x)),
        *divmod(number, montage.grid[1]),
    )

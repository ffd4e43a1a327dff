"""Reader: napari opens a CT file or a DICOM folder, however it was asked to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari import current_viewer
from napari.utils.notifications import show_error
from qtpy.QtWidgets import QApplication

from napari_ctclip.core.errors import CtClipError, SeriesChoiceNeeded
from napari_ctclip.io import can_read, read_volume
from napari_ctclip.plugin.canvas.layers import LayerData, ct_layer
from napari_ctclip.plugin.shell.workbench import workbench_of
from napari_ctclip.session.files.archive import SUFFIX

__all__ = ["get_reader", "open_session_file", "read_ct"]

PathOrPaths = str | Sequence[str]
_NO_LAYER: list[tuple[Any, ...]] = [(None,)]  # napari's word for "read, and nothing to show"


def get_reader(path: PathOrPaths) -> Callable[[PathOrPaths], list[Any]] | None:
    """Return :func:`read_ct` for what it reads; it looks at the bytes, not the name."""
    paths = [path] if isinstance(path, str) else list(path)
    if len(paths) == 1 and paths[0].endswith(SUFFIX):
        return open_session_file
    if len(paths) == 1:
        return read_ct if can_read(paths[0]) else None
    folder = _common_folder(paths)
    return read_ct if folder is not None and can_read(folder) else None


def read_ct(path: PathOrPaths) -> list[LayerData] | list[tuple[Any, ...]]:
    """Return the image layer of a CT; several slices of one folder are one CT.

    What cannot be read is shown as one line, and no layer comes.
    """
    paths = [path] if isinstance(path, str) else list(path)
    source = Path(paths[0]) if len(paths) == 1 else _common_folder(paths) or Path(paths[0])
    try:
        try:
            read = read_volume(source)
        except SeriesChoiceNeeded as needed:
            series = _asked_series(source, needed)
            if series is None:
                return _NO_LAYER
            read = read_volume(source, series=series)
    except CtClipError as error:
        if QApplication.instance() is None:
            raise
        show_error(str(error))
        return _NO_LAYER
    return [ct_layer(read.volume, more={"notices": read.notices})]


def open_session_file(path: PathOrPaths) -> list[tuple[Any, ...]]:
    """Open a session file in the current viewer; its layers come when they are read."""
    viewer = current_viewer()
    if viewer is None:
        raise CtClipError(
            f"{path} is a session of CT-CLIP: open it in napari's window, or write its exports "
            "with napari-ctclip export"
        )
    bench = workbench_of(viewer)
    source = Path(path if isinstance(path, str) else path[0])
    bench.guarded(lambda: bench.sessions.open(source))
    return _NO_LAYER


def _asked_series(folder: Path, needed: SeriesChoiceNeeded) -> int | None:
    if QApplication.instance() is None:
        raise needed
    from napari_ctclip.plugin.study.series_dialog import ask_series

    return ask_series(folder, needed.choices, parent=QApplication.activeWindow())


def _common_folder(paths: Sequence[str]) -> Path | None:
    folders = {Path(p).parent for p in paths}
    return folders.pop() if len(folders) == 1 else None

"""Launch: a napari window with the panel and a CT, for the command line and the demo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import napari
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget

from napari_ctclip.core.notice import Notice
from napari_ctclip.core.study import Study
from napari_ctclip.io import read_volume
from napari_ctclip.plugin.canvas._compat import main_window
from napari_ctclip.plugin.shell.study_widget import StudyWidget

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["dock", "open_window"]

_SIZE = (1600, 1000)
_PANEL_WIDTH = 470


def open_window(
    source: Path | str | Study,
    *,
    masks: Path | None = None,
    prompts: Sequence[str] = (),
    model: str | None = None,
    show: bool = True,
    series: int | str | None = None,
    quick_masks: bool = True,
) -> tuple[Viewer, StudyWidget]:
    """Open a viewer on a CT, with the panel docked and prompts typed.

    Parameters
    ----------
    source : path or Study
        What to open.
    masks : path, optional
        Label map file with organ masks.
    prompts : sequence of str
        Answered as soon as the scan is encoded.
    model : str
        Name or folder of the model; that of the settings if None.
    show : bool
        Whether the window appears.
    series : int or str, optional
        Which series of a DICOM folder.
    quick_masks : bool
        Make organ masks from CT numbers when there are none.

    Raises
    ------
    CtClipError
        If the scan cannot be read.
    """
    study, notices = (source, ()) if isinstance(source, Study) else _read(Path(source), series)
    viewer = napari.Viewer(title="CT-CLIP", show=False)
    widget = dock(viewer)
    bench = widget.workbench
    if model is not None:
        bench.prompts.model_name = model
    bench.studies.makes_masks_at_once = quick_masks and masks is None
    if show:
        viewer.window.show()
        viewer.window.resize(*_SIZE)
        _widen(viewer, widget)
    bench.studies.open_study(study, notices)
    if masks is not None:
        bench.studies.load_masks(masks)
    for prompt in prompts:
        bench.prompts.add(prompt)
    return viewer, widget


def dock(viewer: Viewer) -> StudyWidget:
    """Dock the panel in a viewer and return it."""
    widget = StudyWidget(viewer)
    viewer.window.add_dock_widget(widget, name="CT-CLIP", area="right")
    _widen(viewer, widget)
    return widget


def _widen(viewer: Viewer, widget: StudyWidget) -> None:
    window, docked = main_window(viewer), widget.parent()
    if window is not None and isinstance(docked, QDockWidget):
        window.resizeDocks([docked], [_PANEL_WIDTH], Qt.Orientation.Horizontal)


def _read(path: Path, series: int | str | None) -> tuple[Study, tuple[Notice, ...]]:
    read = read_volume(path, series=series)
    return Study(read.volume), read.notices

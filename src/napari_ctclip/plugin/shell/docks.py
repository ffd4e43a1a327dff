"""Docks: the widgets that napari makes from a viewer, given what the window's workbench holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_ctclip.plugin.follow_up.follow_up_dock import FollowUpDock
from napari_ctclip.plugin.shell.workbench import workbench_of
from napari_ctclip.plugin.training.training_dock import TrainingDock

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["FollowUpWidget", "TrainingWidget"]


class FollowUpWidget(FollowUpDock):
    """The follow-up dock of a viewer.

    Parameters
    ----------
    napari_viewer : Viewer
        The viewer it is docked in, which holds the current scan.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        bench = workbench_of(napari_viewer)
        super().__init__(
            bench.window, prompts=bench.prompts, studies=bench.studies, probe=bench.probe
        )


class TrainingWidget(TrainingDock):
    """The training dock of a viewer.

    Parameters
    ----------
    napari_viewer : Viewer
        The viewer it is docked in.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        bench = workbench_of(napari_viewer)
        super().__init__(bench.window, bench.prompts)

"""Window: what every flow and tab of one napari window is handed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_ctclip.plugin.canvas.scene import Scene
from napari_ctclip.plugin.window.jobs import JobQueue
from napari_ctclip.plugin.window.messages import Messages
from napari_ctclip.session.session import Session

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["Window"]


@dataclass(frozen=True, eq=False)
class Window:
    """The four things that the parts of a window share; a second scan beside it has its own.

    Attributes
    ----------
    session : Session
        The open study, the model and the answers.
    jobs : JobQueue
        Where slow work runs.
    scene : Scene
        What is drawn in the viewer.
    messages : Messages
        Where the user reads what happens.
    """

    session: Session
    jobs: JobQueue
    scene: Scene
    messages: Messages

    @property
    def viewer(self) -> Viewer:
        """The viewer that the scene is drawn in."""
        return self.scene.viewer

    def guarded(self, action: Callable[[], Any]) -> None:
        """Run an action of the user; an error that it raises is shown as one line."""
        with self.messages.border():
            action()

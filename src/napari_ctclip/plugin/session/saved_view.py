"""Saved view: what is shown of a scan and from where, for session files and back."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari_ctclip.plugin.canvas._compat import camera_of
from napari_ctclip.plugin.canvas.canvas_fit import fitting_zoom
from napari_ctclip.plugin.canvas.scene import Scene
from napari_ctclip.plugin.canvas.views import View, Views
from napari_ctclip.plugin.prompts.prompt_state import PromptState

if TYPE_CHECKING:
    from napari_ctclip.session.files.saved_session import SavedCamera, SavedView

__all__ = ["restore_view", "saved_view"]


def saved_view(scene: Scene, views: Views, prompts: PromptState) -> SavedView | None:
    """Return window, position, heatmap range, planes and cameras; None without a scan."""
    from napari_ctclip.session.files.saved_session import SavedView

    if scene.frame is None or scene.window is None:
        return None
    position = scene.index_at(scene.viewer.dims.point[-3:]) or (0, 0, 0)
    cameras = tuple(_camera(model) for model in views.shown_models())
    opacity = prompts.resolved.heatmap_opacity
    layout = views.view.value
    return SavedView(scene.window, position, prompts.chosen_range, opacity, layout, cameras)


def restore_view(scene: Scene, views: Views, prompts: PromptState, *, view: SavedView) -> None:
    """Show the scan as it was shown; a file without cameras leaves them as they are."""
    scene.set_window(view.window)
    scene.turn_to(view.position)
    prompts.set_opacity(view.heat_opacity)
    if view.heat_range is not None:
        prompts.choose_range(*view.heat_range)
    if view.layout in [known.value for known in View]:
        views.show(View(view.layout), then=partial(_look, views, view.cameras))


def _camera(model: Any) -> SavedCamera:
    from napari_ctclip.session.files.saved_session import SavedCamera

    camera = camera_of(model)
    z, y, x = (float(mm) for mm in camera.center)
    first, second, third = (float(angle) for angle in camera.angles)
    fitting = fitting_zoom(model, *model.canvas.size)
    larger = camera.zoom / fitting if fitting else 1.0
    return SavedCamera((z, y, x), float(larger), (first, second, third))


def _look(views: Views, cameras: tuple[SavedCamera, ...]) -> None:
    for model, saved in zip(views.shown_models(), cameras, strict=False):  # without a window: one
        camera = camera_of(model)
        if model.dims.ndisplay == 3:
            camera.angles = saved.angles
        camera.center = saved.centre_mm
        fitting = fitting_zoom(model, *model.canvas.size)  # in 3D it depends on the angles
        if fitting:
            camera.zoom = saved.magnification * fitting

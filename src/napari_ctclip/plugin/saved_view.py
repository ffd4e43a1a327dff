"""Saved view: what is shown of a scan, for session files and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_ctclip.plugin.scene import Scene

if TYPE_CHECKING:
    from napari_ctclip.session_files.saved_session import SavedView

__all__ = ["restore_view", "saved_view"]


def saved_view(scene: Scene) -> SavedView | None:
    """Return window, place and heat; None without a scan."""
    from napari_ctclip.session_files.saved_session import SavedView

    if scene.frame is None or scene.window is None:
        return None
    place = scene.index_at(scene.viewer.dims.point[-3:]) or (0, 0, 0)
    chosen = scene.heat_range if scene.heat_range_is_chosen else None
    return SavedView(scene.window, place, chosen, scene.heat_opacity)


def restore_view(scene: Scene, view: SavedView) -> None:
    """Show the scan as it was shown."""
    scene.set_window(view.window)
    scene.turn_to(view.position)
    scene.set_heat_opacity(view.heat_opacity)
    if view.heat_range is not None:
        scene.heat_range_is_chosen = True
        scene.set_heat_range(*view.heat_range)

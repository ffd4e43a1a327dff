"""Keys: shortcuts in the picture that collide with none of napari's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_ctclip.core.roi import RoiKind
from napari_ctclip.core.volume import WINDOWS
from napari_ctclip.plugin.shell.workbench import Workbench

if TYPE_CHECKING:
    from napari_ctclip.plugin.prompts.explore_tab import ExploreTab

__all__ = ["KEYS", "MOUSE", "bind_keys", "unbind_keys"]

KEYS: dict[str, str] = {
    "Q": "arm or disarm the probe",
    "H": "heatmap on or off",
    "G": "organ outlines on or off",
    "Shift-T": "outline of one token at the mouse on or off",
    "Shift-B": "draw a sphere as the region of interest, or stop drawing",
    "Shift-R": "draw a box (rectangle) as the region of interest, or stop drawing",
    "J": "go to the peak of the selected prompt",
    "K": "next peak towards the feet, of any prompt shown",
    "Shift-K": "peak before, towards the head",
    "N": "next prompt",
    "U": "next view: one plane, three planes, 3D",
    "W": "next window preset",
    "Control-Alt-F": "type a prompt",
} | {f"Alt-{n}": f"window {name}" for n, name in enumerate(WINDOWS, start=1)}
"""Key -> what it does."""

MOUSE: dict[str, str] = {
    "click": "turn every plane to the point, and probe there while that is armed",
    "drag, with Sphere or Box pressed": "draw the region of interest, in any plane",
    "right drag": "window: right wider, left narrower, up brighter, down darker",
    "Shift + move": "every plane follows the mouse",
    "slice strip": "click or drag: that slice; with the keyboard: arrows, Page, Home, End, Enter",
}
"""What the mouse does, in the picture and beside it."""


def bind_keys(workbench: Workbench, explore: ExploreTab) -> None:
    """Bind the keys to a viewer, leaving those alone that something else took."""
    scene = workbench.scene

    def to_peak() -> None:
        row = explore.selected_prompt()
        if row is not None:
            explore.go_to_peak(row.prompt.positive)

    def toggle_heatmap() -> None:
        row = explore.selected_prompt()
        if row is not None:
            workbench.prompts.set_shown(row.prompt.positive, not row.shown)

    actions: dict[str, Callable[[], Any]] = {
        "Q": lambda: workbench.probe.set_armed(not workbench.probe.is_armed),
        "H": toggle_heatmap,
        "G": scene.toggle_organs,
        "Shift-T": lambda: workbench.ghost.set_shown(not workbench.ghost.is_shown),
        "Shift-B": partial(workbench.drawing.toggle, RoiKind.SPHERE),
        "Shift-R": partial(workbench.drawing.toggle, RoiKind.BOX),
        "J": to_peak,
        "K": workbench.slices.next_peak,
        "Shift-K": partial(workbench.slices.next_peak, -1),
        "N": explore.select_next,
        "U": workbench.views.next,
        "W": explore.windows.next,
        "Control-Alt-F": explore.line.edit.setFocus,
    }
    for number, window in enumerate(WINDOWS.values(), start=1):
        actions[f"Alt-{number}"] = partial(scene.set_window, window)
    unbind_keys(workbench)
    for key, action in actions.items():
        _bind(workbench, key, action)


def unbind_keys(workbench: Workbench) -> None:
    """Take our keys off the viewer."""
    for key, bound in list(workbench.viewer.keymap.items()):
        if getattr(bound, "_ctclip", False):
            del workbench.viewer.keymap[key]


def _bind(workbench: Workbench, key: str, action: Callable[[], Any]) -> None:
    def run(viewer: Any) -> None:
        workbench.guarded(action)

    run._ctclip = True  # type: ignore[attr-defined]
    run.__doc__ = f"CT-CLIP: {KEYS[key]}"
    try:
        workbench.viewer.bind_key(key, run)
    except ValueError:
        workbench.messages.info(f"Key {key} is taken; use the panel to {KEYS[key]}.")

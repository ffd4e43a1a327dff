"""Screens: whether there is one, and running on a virtual one where there is none."""

from __future__ import annotations

import os
import sys
from shutil import which

from napari_ctclip.core.errors import CtClipError

__all__ = ["has_display", "restart_under_xvfb"]


def has_display() -> bool:
    """Return whether a window could be shown."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def restart_under_xvfb(module: str, *arguments: str) -> None:
    """Replace this process by the same command on a virtual screen.

    Raises
    ------
    CtClipError
        If Xvfb is not installed.
    """
    if which("xvfb-run") is None:
        raise CtClipError(
            "no display and no Xvfb; install it with: sudo apt-get install xvfb xauth"
        )
    # Qt's offscreen platform has no OpenGL: the canvas would stay black
    os.environ["QT_QPA_PLATFORM"] = "xcb"
    screen = ("xvfb-run", "-a", "-s", "-screen 0 1920x1200x24")
    os.execvp(screen[0], [*screen, sys.executable, "-m", module, *sys.argv[1:], *arguments])

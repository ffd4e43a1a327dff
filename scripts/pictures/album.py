"""Album: pictures of the whole window in sizes and themes, small enough to be kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from qtpy.QtCore import QPoint, QRect
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from scripts.pictures.fitting import misfits

if TYPE_CHECKING:
    from scripts.pictures.hand import Hand

__all__ = ["SIZES", "THEMES", "Album"]

SIZES = ((1280, 720), (1920, 1080))
THEMES = ("dark", "light")
_MOST_BYTES = 250_000
_SETTLE_MS = 400
_LEAST_COLOUR = 14  # between the channels of a pixel; the theme's grays are bluish


class Album:
    """Where pictures go.

    Parameters
    ----------
    hand : Hand
        Whose window is shown.
    folder : Path
        For all pictures.
    name : str
        Of the scan: how its files begin.
    scratch : Path
        For what the window writes meanwhile.
    """

    def __init__(self, hand: Hand, folder: Path, name: str, *, scratch: Path) -> None:
        self._hand, self._folder, self._name = hand, folder, name
        self.scratch = scratch
        folder.mkdir(parents=True, exist_ok=True)
        self.misfits: list[str] = []

    def every(self, step: str) -> None:
        """Take the window in each size and theme, and list what does not fit into the smallest."""
        viewer = self._hand.viewer
        for size in SIZES[::-1]:
            self._resize(size)
            for theme in THEMES:
                viewer.theme = theme
                self._settle()
                self.now(step, suffix=f"{size[0]}_{theme}")
        viewer.theme = THEMES[0]
        self._settle()
        self.misfits += [f"{self._name}, {step}: {text}" for text in misfits(self._hand.window)]

    def now(self, step: str, *, suffix: str = "") -> Path:
        """Take the screen as it is, with open menus and dialogs."""
        window = self._hand.window
        screen = window.screen()
        assert screen is not None
        area = QRect(window.mapToGlobal(QPoint(0, 0)), window.size())
        for popup in QApplication.topLevelWidgets():  # menus and dialogs may reach beyond it
            if popup.isVisible() and popup.isWindow() and popup is not window:
                area = area.united(popup.frameGeometry())
        shot = screen.grabWindow(0, *area.getRect())  # type: ignore[call-overload,misc]
        stem = "_".join(part for part in (self._name, step, suffix) if part)
        path = self._folder / f"{stem}.png"
        shot.save(str(path))
        shrink(path)
        return path

    def _settle(self) -> None:
        for _ in range(8):  # a slow picture may take all of one wait
            QTest.qWait(_SETTLE_MS // 8)

    def _resize(self, size: tuple[int, int]) -> None:
        window: Any = self._hand.window
        window.move(0, 0)
        window.resize(*size)
        self._settle()
        if (window.width(), window.height()) != size:
            self.misfits.append(
                f"the window does not go down to {size}: {window.width()}, {window.height()}"
            )


def shrink(path: Path) -> None:
    """Give a picture the most colours that keep it under 250 kB."""
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    for grays, colours in ((64, 192), (32, 96), (20, 64), (16, 32)):
        palette = _palette(picture, grays, colours)
        picture.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size <= _MOST_BYTES:
            return
    raise ValueError(f"{path.name}: {path.stat().st_size} bytes with 48 colours; cut it smaller")


def _palette(picture: Image.Image, grays: int, most: int) -> Image.Image:
    """Return a palette of even grays, for the scan, and of the colours that are there.

    One of all pixels alike would give the few coloured ones, which are what matters, to the grays.
    """
    pixels = np.asarray(picture).reshape(-1, 3)
    is_coloured = np.ptp(pixels, axis=1) > _LEAST_COLOUR
    coloured = np.unique(pixels[is_coloured], axis=0)
    colours: list[int] = []
    if len(coloured):
        found = (
            Image.fromarray(coloured[None]).quantize(most, Image.Quantize.MAXCOVERAGE).getpalette()
            or []
        )
        colours = found[: 3 * most]
    even = [round(255 * n / (grays - 1)) for n in range(grays) for _ in range(3)]
    palette = Image.new("P", (1, 1))
    palette.putpalette([*even, *colours])
    return palette

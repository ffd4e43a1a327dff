"""Gallery: a montage as a picture whose tiles can be clicked, or walked with the arrow keys."""

from __future__ import annotations

import numpy as np
from psygnal import Signal
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QFont, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from napari_ctclip.core.montage import Montage
from napari_ctclip.core.volume import WINDOWS, Window

__all__ = ["CAPTION_COLOUR", "PLATE_OPACITY", "Gallery"]

CAPTION_COLOUR = "#ffd166"
PLATE_OPACITY = 0.7
"""Of the black behind a caption: it is read over air and over bone."""

_HINT = "Type what to look for, then Find patches"
_STEPS = {
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
}


class Gallery(QWidget):
    """The picture.

    Parameters
    ----------
    parent : QWidget or None
        The tab.
    """

    tile_chosen = Signal(int)
    """A tile was clicked or reached with the keys."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.montage: Montage | None = None
        self.chosen = -1
        self._window = WINDOWS["Lung"]
        self._image: QImage | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(200)
        self.setAccessibleName("Montage")
        self.setToolTip("Click a tile to go there; arrow keys step through the tiles")

    def sizeHint(self) -> QSize:
        """Return a square as wide as the panel."""
        return QSize(380, 380)

    def show_montage(self, montage: Montage | None) -> None:
        """Show a montage; None shows a hint."""
        self.montage, self.chosen = montage, -1
        self._draw()

    def set_window(self, window: Window) -> None:
        """Show the tiles in another window."""
        self._window = window
        self._draw()

    def choose(self, number: int) -> None:
        """Mark a tile and tell of it."""
        if self.montage is None or not 0 <= number < len(self.montage.patches):
            return
        self.chosen = number
        patch = self.montage.patches[number]
        self.setAccessibleDescription(f"tile {number + 1}, score {patch.score:+.3f}")
        self.update()
        self.tile_chosen.emit(number)

    def tile_rect(self, number: int) -> QRectF:
        """Return where a tile is drawn."""
        assert self.montage is not None, "a tile is of a montage"
        side, left, top = self._placing()
        row, column = divmod(number, self.montage.grid[1])
        return QRectF(left + column * side, top + row * side, side, side)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Choose the tile under the pointer."""
        if event is not None and self.montage is not None:
            number = self._tile_at(event.position())
            if number is not None:
                self.choose(number)

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        """Take the second press as one more."""
        self.mousePressEvent(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Step to a neighbouring tile."""
        if event is None or self.montage is None or event.key() not in _STEPS:
            super().keyPressEvent(event)
            return
        down, right = _STEPS[Qt.Key(event.key())]
        self.choose(max(self.chosen, 0) + down * self.montage.grid[1] + right)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the tiles, their ranks and scores."""
        painter = QPainter(self)
        if self.montage is None or self._image is None:
            painter.setPen(self.palette().text().color())
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, _HINT)
            return
        side, left, top = self._placing()
        rows, columns = self.montage.grid
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(QRectF(left, top, side * columns, side * rows), self._image)
        font = QFont(self.font())
        font.setPixelSize(max(8, min(13, int(side / 6))))
        painter.setFont(font)
        for rank, number in enumerate(self.montage.best_first(), start=1):
            self._paint_caption(painter, number, f"{rank}")
        if self.chosen >= 0:
            painter.setPen(QPen(QColor("#00e5ff"), 2))
            painter.drawRect(self.tile_rect(self.chosen).adjusted(1, 1, -1, -1))

    def _paint_caption(self, painter: QPainter, number: int, rank: str) -> None:
        assert self.montage is not None, "a tile is of a montage"
        rect = self.tile_rect(number)
        painter.setPen(QPen(QColor(90, 90, 90), 1))
        painter.drawRect(rect)
        plate = QColor(0, 0, 0)
        plate.setAlphaF(PLATE_OPACITY)
        score = f"{self.montage.patches[number].score:+.2f}"
        inner = rect.adjusted(3, 2, -3, -2)
        for text, flags in (
            (rank, Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft),
            (score, Qt.AlignmentFlag.AlignBottom | Qt.AlignmentFlag.AlignRight),
        ):
            painter.fillRect(painter.boundingRect(inner, flags, text), plate)
            painter.setPen(QColor(CAPTION_COLOUR))
            painter.drawText(inner, flags, text)

    def _draw(self) -> None:
        self._image = None
        if self.montage is not None:
            gray = np.ascontiguousarray(self.montage.picture(self._window))
            height, width = gray.shape
            image = QImage(gray.tobytes(), width, height, width, QImage.Format.Format_Grayscale8)
            self._image = image.copy()  # Qt does not keep the bytes alive
        QToolTip.hideText()
        self.update()

    def _placing(self) -> tuple[float, float, float]:
        """Return side of a tile, left and top of the picture, in widget pixels."""
        assert self.montage is not None, "a picture is of a montage"
        rows, columns = self.montage.grid
        side = min(self.width() / columns, self.height() / rows)
        return side, (self.width() - side * columns) / 2, 0.0

    def _tile_at(self, place: QPointF) -> int | None:
        assert self.montage is not None, "a tile is of a montage"
        side, left, top = self._placing()
        n = self.montage.tile_pixels
        return self.montage.tile_at(
            (place.y() - top) / side * n - 0.5, (place.x() - left) / side * n - 0.5
        )

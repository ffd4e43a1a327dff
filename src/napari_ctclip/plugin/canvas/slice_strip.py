"""Slice strip: every slice of the scan from head to foot, and how high each prompt is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psygnal import Signal
from qtpy.QtCore import QEvent, QPointF, QRect, QRectF, QSize, Qt
from qtpy.QtGui import (
    QColor,
    QFont,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QPolygonF,
    QResizeEvent,
)
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.scoring.slice_profile import SliceProfile

__all__ = ["SliceStrip", "StripTrack"]

_EDGE = 18  # room for S and I
_NAME_WIDTH, _BAR_WIDTH, _GAP = 15, 26, 4
_FONT_POINTS = 8
_HALF_SEEN = 120  # alpha, of 255
_INK, _PAPER = "#f2f2f2", "#000000"  # as the picture beside it: the heatmaps' colours fade on light
_PAGE = 10
_STEPS = {
    Qt.Key.Key_Up: -1,
    Qt.Key.Key_Down: 1,
    Qt.Key.Key_PageUp: -_PAGE,
    Qt.Key.Key_PageDown: _PAGE,
}


@dataclass(frozen=True)
class StripTrack:
    """One prompt of the strip.

    Attributes
    ----------
    name : str
        The prompt.
    colour : str
        Of its heatmap, ``"#rrggbb"``.
    profile : SliceProfile
        Its numbers; D slices.
    """

    name: str
    colour: str
    profile: SliceProfile


class SliceStrip(QWidget):
    """A track a prompt: the highest similarity of a slice as a band, the mean as a line.

    Parameters
    ----------
    parent : QWidget or None
        Where it stands.
    """

    slice_chosen = Signal(int)
    """The user wants to see a slice."""
    peak_wanted = Signal(int)
    """The user wants the next peak (1) or the one before (-1)."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tracks: tuple[StripTrack, ...] = ()
        self._depth, self._slice = 1, 0
        self._picture: QPixmap | None = None
        self.setAccessibleName("Slices")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    # --- what it shows --------------------------------------------------------------------------

    @property
    def tracks(self) -> tuple[StripTrack, ...]:
        """What is drawn, left to right."""
        return self._tracks

    @property
    def slice_count(self) -> int:
        """How many slices the scan has."""
        return self._depth

    def set_tracks(self, tracks: Sequence[StripTrack], depth: int) -> None:
        """Draw other prompts over a scan of ``depth`` slices."""
        self._tracks, self._depth = tuple(tracks), max(1, depth)
        self._picture = None
        self.setFixedWidth(self.sizeHint().width())
        self._describe()
        self.update()

    def set_slice(self, number: int) -> None:
        """Mark the slice that is shown."""
        if number != self._slice:
            self._slice = number
            self._describe()
            self.update()

    def sizeHint(self) -> QSize:
        """Return the width of all tracks."""
        count = max(1, len(self._tracks))
        return QSize(2 * _GAP + count * (_NAME_WIDTH + _BAR_WIDTH + _GAP), 300)

    def place_of(self, number: int) -> float:
        """Return the height in the widget, in pixels from its top, of the middle of a slice."""
        return _EDGE + (number + 0.5) * self._slice_height()

    def _slice_height(self) -> float:
        return max(1.0, self.height() - 2 * _EDGE) / self._depth

    def _lines_of(self, number: int) -> list[str]:
        lines = [f"slice {number} of {self._depth}"]
        for track in self._tracks:
            profile = track.profile
            highest, mean = profile.highest[number], profile.mean[number]
            here = f"highest {highest:+.2f}, mean {mean:+.2f}" if highest == highest else "not here"
            lines.append(f"{track.name} ({anatomy_label(profile.anatomy)}): {here}")
        return lines

    def _describe(self) -> None:
        if 0 <= self._slice < self._depth:
            self.setAccessibleDescription("; ".join(self._lines_of(self._slice)))

    # --- the user -------------------------------------------------------------------------------

    def _slice_at(self, y: float) -> int:
        return min(max(int((y - _EDGE) / self._slice_height()), 0), self._depth - 1)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Go to the slice under the mouse."""
        if event is not None and event.buttons() & Qt.MouseButton.LeftButton:
            self.slice_chosen.emit(self._slice_at(event.position().y()))

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Go along with a drag."""
        self.mousePressEvent(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Step with the arrows and page keys; Home and End; Enter for the next peak."""
        if event is None:
            return
        key = event.key()
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            back = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            self.peak_wanted.emit(-1 if back else 1)
            return
        ends = {Qt.Key.Key_Home: 0, Qt.Key.Key_End: self._depth - 1}
        if key in _STEPS or key in ends:
            wanted = ends.get(Qt.Key(key), self._slice + _STEPS.get(Qt.Key(key), 0))
            self.slice_chosen.emit(min(max(wanted, 0), self._depth - 1))
            return
        super().keyPressEvent(event)

    def event(self, event: QEvent | None) -> bool:
        """Tell the numbers of the slice under the mouse."""
        if isinstance(event, QHelpEvent):
            lines = self._lines_of(self._slice_at(event.pos().y()))
            QToolTip.showText(event.globalPos(), "\n".join(lines), self)
            return True
        return bool(super().event(event))

    # --- drawing --------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Draw the tracks anew for the new height."""
        self._picture = None
        super().resizeEvent(event)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the tracks, then the slice that is shown."""
        if self._picture is None or self._picture.devicePixelRatio() != self.devicePixelRatioF():
            self._picture = self._drawn_tracks()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.drawPixmap(0, 0, self._picture)
        ink = QColor(_INK)
        self._draw_slice(painter, ink)
        if self.hasFocus():
            painter.setPen(QPen(ink, 1, Qt.PenStyle.DotLine))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.end()

    def _drawn_tracks(self) -> QPixmap:
        """Return everything but the mark of the slice, which alone moves with each step."""
        ink, ratio = QColor(_INK), self.devicePixelRatioF()
        picture = QPixmap(self.size() * ratio)
        picture.setDevicePixelRatio(ratio)
        picture.fill(QColor(_PAPER))
        painter = QPainter(picture)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = QFont(self.font())
        font.setPointSize(_FONT_POINTS)
        painter.setFont(font)
        painter.setPen(ink)
        centre = Qt.AlignmentFlag.AlignCenter
        painter.drawText(QRectF(0, 0, self.width(), _EDGE), centre, "S")
        painter.drawText(QRectF(0, self.height() - _EDGE, self.width(), _EDGE), centre, "I")
        ranges = [track.profile.range for track in self._tracks]
        low, high = min((r[0] for r in ranges), default=0), max((r[1] for r in ranges), default=1)
        for number, track in enumerate(self._tracks):
            left = _GAP + number * (_NAME_WIDTH + _BAR_WIDTH + _GAP)
            self._draw_name(painter, track.name, left=left, ink=ink)
            self._draw_track(painter, track, left=left + _NAME_WIDTH, limits=(low, high))
        painter.end()
        return picture

    def _draw_name(self, painter: QPainter, name: str, *, left: float, ink: QColor) -> None:
        length = self.height() - 2 * _EDGE
        shown = painter.fontMetrics().elidedText(name, Qt.TextElideMode.ElideRight, length)
        painter.save()
        painter.translate(left, _EDGE + length)
        painter.rotate(-90)
        painter.setPen(ink)
        painter.drawText(QRectF(0, 0, length, _NAME_WIDTH), Qt.AlignmentFlag.AlignCenter, shown)
        painter.restore()

    def _draw_track(
        self, painter: QPainter, track: StripTrack, *, left: float, limits: tuple[float, float]
    ) -> None:
        low, high = limits
        unit = _BAR_WIDTH / max(high - low, 1e-6)
        height, profile = self._slice_height(), track.profile
        band, line = QColor(track.colour), QColor(track.colour)
        band.setAlpha(_HALF_SEEN)
        painter.setPen(QPen(line, 1))
        painter.drawLine(QPointF(left, _EDGE), QPointF(left, _EDGE + height * self._depth))
        means: list[QPointF] = []
        for number, (highest, mean) in enumerate(zip(profile.highest, profile.mean, strict=True)):
            if highest != highest:  # no token of the anatomy in this slice
                continue
            top, end = _EDGE + number * height, _EDGE + (number + 1) * height
            # whole pixels: half covered ones would show as stripes
            box = QRect(round(left), round(top), round(float(highest - low) * unit), 0)
            box.setBottom(max(round(end), round(top) + 1) - 1)
            painter.fillRect(box, band)
            means.append(QPointF(left + float(mean - low) * unit, (top + end) / 2))
        painter.setPen(QPen(line, 1.5))
        painter.drawPolyline(QPolygonF(means))

    def _draw_slice(self, painter: QPainter, ink: QColor) -> None:
        y = self.place_of(self._slice)
        painter.setPen(QPen(ink, 1.5))
        painter.drawLine(QPointF(0, y), QPointF(self.width(), y))
        painter.setBrush(ink)
        painter.drawPolygon(QPolygonF([QPointF(0, y - 5), QPointF(6, y), QPointF(0, y + 5)]))

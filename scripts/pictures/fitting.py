"""Fitting: which texts of a window are cut, and which parts stick out of what holds them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qtpy.QtCore import QPoint, QRect, QSize, Qt
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QComboBox,
    QDockWidget,
    QHeaderView,
    QLabel,
    QLineEdit,
    QScrollArea,
    QStyle,
    QStyleOptionComboBox,
    QStyleOptionSpinBox,
    QTabBar,
    QWidget,
)

__all__ = ["misfits"]

_OURS = "ctclip"  # how the object names of our panels begin
_SLACK = 1  # pixels: layouts round


def misfits(window: QWidget) -> list[str]:
    """Return one line for every text that is cut and every part that cannot be seen whole.

    Parameters
    ----------
    window : QWidget
        napari's window; only our docks in it are looked at.
    """
    found: list[str] = []
    for dock in window.findChildren(QDockWidget):
        ours = any(w.objectName().startswith(_OURS) for w in dock.findChildren(QWidget))
        if ours and not dock.visibleRegion().isEmpty():
            for widget in dock.findChildren(QWidget):
                if widget.isVisible() and not widget.visibleRegion().isEmpty():
                    found += (f"{_path(widget)}: {why}" for why in _faults(widget))
    return found


def _faults(widget: QWidget) -> Iterator[str]:
    needed = _text_size(widget)
    if needed is not None:
        room = widget.size()
        if needed.width() > room.width() + _SLACK:
            yield f"text of {needed.width()} pixels in a width of {room.width()}"
        if needed.height() > room.height() + _SLACK:
            yield f"text of {needed.height()} pixels in a height of {room.height()}"
    if isinstance(widget, QScrollArea):
        yield from _scroll_faults(widget)
    if isinstance(widget, QTabBar):
        yield from _tab_faults(widget)
    if isinstance(widget, QHeaderView):
        yield from _header_faults(widget)
    above = widget.parentWidget()
    if above is not None and not _scrolls(above) and not widget.isWindow():
        outside = not above.rect().adjusted(-2, -2, 2, 2).contains(_shown_part(widget))
        if outside and above.layout() is not None:
            yield f"{widget.geometry().getRect()} sticks out of {above.rect().getRect()}"


def _text_size(widget: Any) -> QSize | None:
    """Return the room that a widget's words need; None if it has none to show."""
    if isinstance(widget, QLabel) and widget.text():
        if widget.wordWrap():
            return QSize(0, widget.heightForWidth(widget.width()))
        return widget.sizeHint() if widget.pixmap().isNull() else None
    if isinstance(widget, QAbstractButton) and widget.text():
        hint = widget.sizeHint()
        return QSize(min(hint.width(), _button_words(widget)), 0)
    if isinstance(widget, QLineEdit) and not isinstance(widget.parent(), QAbstractSpinBox):
        shown = widget.text() or widget.placeholderText()
        words = 0 if widget.text() else widget.fontMetrics().horizontalAdvance(shown)
        margins = widget.textMargins()
        return QSize(words + margins.left() + margins.right() + 4, 0)
    if isinstance(widget, QComboBox):
        option = QStyleOptionComboBox()
        widget.initStyleOption(option)
        part = QStyle.SubControl.SC_ComboBoxEditField
        field = widget.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox, option, part, widget
        )
        words = widget.fontMetrics().horizontalAdvance(widget.currentText())
        return QSize(widget.width() + words - field.width(), 0)
    if isinstance(widget, QAbstractSpinBox):
        spin = QStyleOptionSpinBox()
        widget.initStyleOption(spin)
        part = QStyle.SubControl.SC_SpinBoxEditField
        field = widget.style().subControlRect(QStyle.ComplexControl.CC_SpinBox, spin, part, widget)
        words = widget.fontMetrics().horizontalAdvance(widget.text())
        return QSize(widget.width() + words - field.width(), 0)
    return None


def _button_words(button: Any) -> int:
    """Return the width of a button's words, its mark or arrow included, without its padding."""
    words = button.fontMetrics().size(Qt.TextFlag.TextShowMnemonic, button.text()).width()
    if button.isCheckable() and not button.inherits("QPushButton"):
        words += 20  # the box before the words
    has_menu = getattr(button, "menu", None)
    if callable(has_menu) and has_menu() is not None:
        words += 16
    return int(words) + 4


def _scroll_faults(area: QScrollArea) -> Iterator[str]:
    bar, inside, view = area.horizontalScrollBar(), area.widget(), area.viewport()
    if bar is not None and bar.maximum() > 0:
        yield f"scrolls sideways by {bar.maximum()} pixels"
    elif inside is not None and view is not None and inside.width() > view.width() + _SLACK:
        yield f"{inside.width()} pixels wide in {view.width()}"


def _tab_faults(bar: QTabBar) -> Iterator[str]:
    for number in range(bar.count()):
        words = bar.fontMetrics().horizontalAdvance(bar.tabText(number))
        if not bar.rect().contains(bar.tabRect(number)):
            yield f"tab “{bar.tabText(number)}” is out of sight"
        elif words + 4 > bar.tabRect(number).width():
            yield f"tab “{bar.tabText(number)}” is cut"


def _header_faults(header: QHeaderView) -> Iterator[str]:
    model = header.model()
    if model is None or header.orientation() is not Qt.Orientation.Horizontal:
        return
    for number in range(header.count()):
        title = str(model.headerData(number, Qt.Orientation.Horizontal) or "")
        words = header.fontMetrics().horizontalAdvance(title)
        if not header.isSectionHidden(number) and words + 4 > header.sectionSize(number):
            yield f"column “{title}” of {header.sectionSize(number)} pixels is cut"


def _scrolls(widget: QWidget) -> bool:
    """Return whether a widget is a viewport, whose contents may be larger than it is."""
    holder = widget.parentWidget()
    return holder is not None and holder.inherits("QAbstractScrollArea")


def _shown_part(widget: QWidget) -> QRect:
    return QRect(widget.mapToParent(QPoint(0, 0)), widget.size())


def _path(widget: QWidget) -> str:
    """Return where a widget stands and what it says."""
    says = widget.accessibleName()
    for getter in ("text", "title", "currentText"):
        reader = getattr(widget, getter, None)
        if not says and callable(reader):
            says = str(reader())
    above = widget.parentWidget()
    holder = "" if above is None else f" in {type(above).__name__}"
    return f"{type(widget).__name__} “{says[:40]}”{holder}"

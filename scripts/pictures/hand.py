"""Hand: mouse and key events on the real widgets, as a person at the window would cause them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QApplication,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QLineEdit,
    QMenu,
    QTabBar,
    QWidget,
)

from napari_ctclip.plugin.canvas._compat import main_window, own_canvas
from scripts.pictures.sight import NotThereError, label, scroll_to, visible

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_ctclip.plugin.shell.study_widget import StudyWidget

__all__ = ["Hand"]

_LIMIT_S = 600.0
_MOVE_MS = 25  # vispy leaves out moves that follow another within 10 ms
_LEFT = Qt.MouseButton.LeftButton
_CHOOSE = ("&Open", "&Choose", "&Save")  # of Qt's own file dialog


class Hand:
    """A user of one window.

    Parameters
    ----------
    viewer : Viewer
        The window.
    widget : StudyWidget
        Its panel.
    """

    def __init__(self, viewer: Viewer, widget: StudyWidget) -> None:
        self.viewer, self.widget, self.bench = viewer, widget, widget.workbench
        window = main_window(viewer)
        assert window is not None
        self.window = window

    # --- looking --------------------------------------------------------------------------------

    def find(self, name: str, kind: type[QWidget] = QWidget) -> Any:
        """Return the visible widget with this text, accessible name or placeholder."""
        return visible(name, kind)

    def wait(self, is_done: Callable[[], bool] | None = None, *, settle_s: float = 0.15) -> None:
        """Wait until no job runs (or ``is_done``), then a little for what is drawn after it.

        Raises
        ------
        TimeoutError
            If it does not come to an end.
        """
        done = is_done or (lambda: self.bench.jobs.is_idle)
        started = time.monotonic()
        while not done():
            QTest.qWait(20)
            if time.monotonic() - started > _LIMIT_S:
                raise TimeoutError(f"not done after {_LIMIT_S:.0f} s")
        QTest.qWait(round(1000 * settle_s))

    # --- widgets --------------------------------------------------------------------------------

    def press(self, name: str, kind: type[QWidget] = QAbstractButton) -> None:
        """Click the middle of a widget."""
        self.click(self.find(name, kind))

    def click(self, widget: QWidget, at: QPoint | None = None, *, double: bool = False) -> None:
        """Click a widget where it can really be hit.

        Raises
        ------
        NotThereError
            If it is disabled, or lies under another or outside the window.
        """
        scroll_to(widget)
        place = at if at is not None else widget.rect().center()
        hit = QApplication.widgetAt(widget.mapToGlobal(place))
        if not widget.isEnabled():
            raise NotThereError(f"“{label(widget)}” is disabled")
        if hit is None or not (hit is widget or widget.isAncestorOf(hit)):
            raise NotThereError(f"“{label(widget)}” is not under the mouse but {label(hit)}")
        if double:
            QTest.mouseClick(widget, _LEFT, pos=place)
            QTest.mouseDClick(widget, _LEFT, pos=place)
        else:
            QTest.mouseClick(widget, _LEFT, pos=place)
        QTest.qWait(_MOVE_MS)

    def type(self, name: str, text: str, *, enter: bool = True) -> QWidget:
        """Click a field, type, press Enter."""
        field = self.find(name)
        self.click(field)
        if isinstance(field, QLineEdit):
            field.selectAll()
        QTest.keyClicks(field, text)
        if enter:
            QTest.keyClick(field, Qt.Key.Key_Return)
        QTest.qWait(_MOVE_MS)
        return field

    def tab(self, title: str) -> None:
        """Click a tab of the panel."""
        bar: QTabBar = self.widget.tabs.tabBar()  # type: ignore[assignment]
        for number in range(bar.count()):
            if bar.tabText(number) == title:
                self.click(bar, bar.tabRect(number).center())
                return
        raise NotThereError(f"no tab “{title}”")

    def cell(self, table: Any, row: int, column: int, *, double: bool = False) -> None:
        """Click a cell of a table."""
        index = table.model().index(row, column)
        table.scrollTo(index)
        self.click(table.viewport(), table.visualRect(index).center(), double=double)

    def look_into(self, button: str, look: Callable[[], object]) -> None:
        """Open a button's menu, look at it, close it by Escape."""
        found = self.find(button, QAbstractButton)
        done: list[bool] = []

        def act() -> None:
            look()
            QTest.keyClick(found.menu(), Qt.Key.Key_Escape)
            done.append(True)

        QTimer.singleShot(600, act)
        self.click(found)
        self.wait(lambda: bool(done))

    def menu(self, button: str, *titles: str) -> None:
        """Open a button's menu and go through it to an entry."""
        found = self.find(button, QAbstractButton)

        def choose() -> None:
            menu: Any = found.menu()
            for title in titles:
                action = next((a for a in menu.actions() if a.text() == title), None)
                if action is None:
                    menu.close()
                    return
                place = menu.actionGeometry(action).center()
                QTest.mouseMove(menu, place)
                QTest.mouseClick(menu, _LEFT, pos=place)
                menu = action.menu() or menu

        QTimer.singleShot(200, choose)
        self.click(found)
        open_menus = [w for w in QApplication.topLevelWidgets() if isinstance(w, QMenu)]
        if any(menu.isVisible() for menu in open_menus):
            raise NotThereError(f"no {' > '.join(titles)} in the menu of “{button}”")

    def answering(self, path: object) -> None:
        """Answer the next file dialog by typing a path; call before what opens it."""
        started = time.monotonic()

        def answer() -> None:
            dialog = QApplication.activeModalWidget()
            if not isinstance(dialog, QFileDialog):
                if time.monotonic() - started < _LIMIT_S:
                    QTimer.singleShot(100, answer)
                return
            edit: Any = dialog.findChild(QLineEdit, "fileNameEdit")
            edit.selectAll()
            QTest.keyClicks(edit, str(path))
            if edit.completer() is not None:
                edit.completer().popup().hide()
            for choose in dialog.findChildren(QDialogButtonBox)[0].buttons():
                if choose.text() in _CHOOSE:
                    QTest.mouseClick(choose, _LEFT)
                    return

        QTimer.singleShot(300, answer)

    def close_dialog(self, look: Callable[[QDialog], None]) -> None:
        """Look at the next dialog, then press Escape; call before what opens it."""

        def act() -> None:
            dialog = QApplication.activeModalWidget()
            if isinstance(dialog, QDialog):
                look(dialog)
                QTest.keyClick(dialog, Qt.Key.Key_Escape)

        QTimer.singleShot(500, act)

    # --- the picture ----------------------------------------------------------------------------

    def key(self, key: Qt.Key, modifiers: Any = Qt.KeyboardModifier.NoModifier) -> None:
        """Press a key over the picture."""
        QTest.keyClick(own_canvas(self.viewer).canvas.native, key, modifiers)
        QTest.qWait(_MOVE_MS)

    def place_of(self, index: tuple[int, int, int]) -> QPoint:
        """Return where a voxel of the slice shown lies on the viewer's canvas."""
        frame = self.bench.scene.frame
        assert frame is not None
        place = frame.index_to_display(index)[list(self.viewer.dims.order[-2:])]
        camera = self.viewer.scene.camera
        native = own_canvas(self.viewer).canvas.native
        row, column = (place - camera.center[-2:]) * camera.zoom
        return QPoint(round(column + native.width() / 2), round(row + native.height() / 2))

    def click_voxel(self, index: tuple[int, int, int]) -> None:
        """Turn the slider to the voxel's slice and click it."""
        frame = self.bench.scene.frame
        assert frame is not None
        axis = self.viewer.dims.order[0]
        self.viewer.dims.set_point(axis, float(frame.index_to_display(index)[axis]))
        self.wait()
        self.click(own_canvas(self.viewer).canvas.native, self.place_of(index))
        self.wait()

    def drag(self, start: QPoint, by: QPoint, *, button: Qt.MouseButton = _LEFT) -> None:
        """Drag over the viewer's canvas in a few moves."""
        native = own_canvas(self.viewer).canvas.native
        QTest.mouseMove(native, start)
        QTest.mousePress(native, button, pos=start)
        for part in (0.3, 0.6, 1.0):
            QTest.qWait(_MOVE_MS)
            _move(native, start + by * part, button)
        QTest.qWait(_MOVE_MS)
        QTest.mouseRelease(native, button, pos=start + by)
        QTest.qWait(_MOVE_MS)


def _move(native: QWidget, place: QPoint, button: Qt.MouseButton) -> None:
    """Move with a button held: QTest's own move knows no buttons on every binding."""
    from qtpy.QtCore import QEvent, QPointF
    from qtpy.QtGui import QMouseEvent

    event = QMouseEvent(
        QEvent.Type.MouseMove,
        QPointF(place),
        QPointF(native.mapToGlobal(place)),
        Qt.MouseButton.NoButton,
        button,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(native, event)

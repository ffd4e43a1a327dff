"""Status strip: what runs, how far, Cancel, and the last message, which stays."""

from __future__ import annotations

from napari.utils.notifications import Notification, notification_manager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QStyle,
    QVBoxLayout,
    QWidget,
)

from napari_ctclip.plugin.widgets.panel_parts import sentence
from napari_ctclip.plugin.window.jobs import JobQueue
from napari_ctclip.plugin.window.messages import Message, Messages

__all__ = ["RESEARCH_USE", "SIMILARITY_IS", "StatusStrip"]

RESEARCH_USE = "Research use only, not a medical device."

SIMILARITY_IS = "Similarity is relative to this scan. It is not a probability of disease."
"""Stands below every tab, whatever is shown."""

_ICONS = {
    "info": QStyle.StandardPixmap.SP_MessageBoxInformation,
    "warning": QStyle.StandardPixmap.SP_MessageBoxWarning,
    "error": QStyle.StandardPixmap.SP_MessageBoxCritical,
}
_BAR_WIDTH = 72
_WELCOME = "Open a CT in the Data tab, or drop one on the window."
_WORDS = {"info": "", "warning": "Warning: ", "error": "Error: "}


class StatusStrip(QWidget):
    """The foot of the panel.

    Parameters
    ----------
    jobs : JobQueue
        Whose progress it shows and cancels.
    messages : Messages
        Whose last message it keeps.
    parent : QWidget or None
        The panel.
    """

    def __init__(
        self, jobs: JobQueue, *, messages: Messages, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._jobs = jobs
        self._last = Message("info", _WELCOME)
        self.bar = QProgressBar()
        self.bar.setAccessibleName("Progress")
        self.bar.setTextVisible(True)
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("Stop what is running; nothing that was there is lost")
        self.cancel.clicked.connect(self._cancel)
        self.icon = QLabel()
        self.text = sentence("", "Last message", selectable=True)
        self.copy = QPushButton("Copy details")
        self.copy.setToolTip("Copy what a bug report needs")
        self.copy.clicked.connect(self._copy_details)
        self.next = QPushButton()
        self.next.clicked.connect(self._act)
        self.notice = QLabel(f"{SIMILARITY_IS}\n{RESEARCH_USE}")
        self.notice.setWordWrap(True)
        self._lay_out()
        jobs.running_changed.connect(self._show_running)
        jobs.progressed.connect(self._show_progress)
        messages.told.connect(self._show_message)
        self._show_running(jobs.title)

    def _lay_out(self) -> None:
        line = QHBoxLayout()
        line.addWidget(self.icon, 0, Qt.AlignmentFlag.AlignTop)
        line.addWidget(self.text, 1)
        for part in (self.bar, self.cancel, self.copy, self.next):
            line.addWidget(part)
        self.bar.setFixedWidth(_BAR_WIDTH)
        # the line keeps its height when a job starts or ends: the tab above must not jump, and its
        # plots not be drawn anew, which holds the window longer than many a job's result
        two_lines = 2 * self.text.fontMetrics().lineSpacing() + 2
        self.text.setMinimumHeight(max(two_lines, self.cancel.sizeHint().height()))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(line)
        layout.addWidget(self.notice)
        self._offer(None)

    def _show_running(self, title: str) -> None:
        self.cancel.setEnabled(bool(title))
        self.bar.setVisible(bool(title))
        self.cancel.setVisible(bool(title))
        self.bar.setRange(0, 0 if title else 1)
        self.bar.setValue(0)
        self.bar.setFormat("")
        if title:
            self._set_text("info", f"{title} …")
        else:
            self._set_text(self._last.severity, self._last.text)
            self._offer(self._last)

    def _show_progress(self, done: int, total: int) -> None:
        self.bar.setRange(0, total)
        self.bar.setValue(done)
        self.bar.setFormat("%p%" if total else "")

    def _cancel(self) -> None:
        self._set_text("info", "Cancelling …")
        self._jobs.cancel()

    def _show_message(self, message: Message) -> None:
        self._set_text(message.severity, message.text)
        self._last = message
        self._offer(message)
        if message.severity != "info":
            actions = (
                (("Copy details", lambda *_: self._copy_details()),) if message.details else ()
            )
            notification_manager.dispatch(
                Notification(message.text, severity=message.severity, actions=actions)
            )

    def _set_text(self, severity: str, text: str) -> None:
        style = self.style()
        if style is not None:
            self.icon.setPixmap(style.standardIcon(_ICONS[severity]).pixmap(16, 16))
        self.icon.setToolTip(severity)
        self.text.setText(_WORDS[severity] + text)
        self._offer(None)

    def _offer(self, message: Message | None) -> None:
        """Show the buttons that a message brings; none while something runs."""
        action = None if message is None else message.action
        self.copy.setVisible(message is not None and bool(message.details))
        self.next.setVisible(action is not None)
        if action is not None:
            self.next.setText(action.text)
            self.next.setToolTip(action.tooltip)

    def _act(self) -> None:
        if self._last.action is not None:
            self._last.action.act()

    def _copy_details(self) -> None:
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(f"{self._last.text}\n\n{self._last.details}")

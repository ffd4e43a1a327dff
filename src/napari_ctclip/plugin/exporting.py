"""Exporting: every answer as files, written in the background."""

from __future__ import annotations

from pathlib import Path

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.plugin.background import Job, Progress, StopRequested
from napari_ctclip.plugin.messages import Messages
from napari_ctclip.session import Session

__all__ = ["export_job"]


def export_job(session: Session, folder: Path, *, messages: Messages) -> Job:
    """Return the job that writes scores, heatmaps, figures and what they depend on.

    Raises
    ------
    CtClipError
        If nothing has been answered yet.
    """
    if not session.answers:
        raise CtClipError("Nothing to export yet: ask a prompt first.")

    def work(progress: Progress, should_stop: StopRequested) -> int:
        from napari_ctclip.answer_files import write_answers

        return len(write_answers(session, folder))

    def done(count: int) -> None:
        messages.info(f"{count} files are written to {folder}.")

    return Job(f"Writing to {folder.name}", work, done)

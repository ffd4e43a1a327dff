"""Exporting: every answer as files, written in the background."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_ctclip.plugin.background import Job, Progress, StopRequested
from napari_ctclip.plugin.messages import Messages
from napari_ctclip.session import Session

if TYPE_CHECKING:
    from napari_ctclip.exporting.write_exports import Exported

__all__ = ["export_job"]


def export_job(session: Session, folder: Path, *, messages: Messages) -> Job:
    """Return the job that writes scores, heatmaps, figures and what they depend on.

    Raises
    ------
    CtClipError
        If nothing has been answered yet.
    """
    from napari_ctclip.exporting.content import ExportContent

    content = ExportContent.of(session)  # taken here: the session may turn to another study

    def work(progress: Progress, should_stop: StopRequested) -> Exported:
        from napari_ctclip.exporting.write_exports import write_exports

        return write_exports(content, folder, progress=progress, should_stop=should_stop)

    def done(exported: Exported) -> None:
        for notice in exported.notices:
            messages.warning(notice.message)
        messages.info(f"{len(exported.files)} files are written to {folder}.")

    return Job(f"Writing to {folder.name}", work, done)

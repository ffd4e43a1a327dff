"""Exporting: answers and findings as files or on the clipboard, made in the background."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QApplication

from napari_ctclip.encoding.work import Work
from napari_ctclip.exporting.content import ExportContent, ExportKind
from napari_ctclip.plugin.window.jobs import Job, Progress, StopRequested
from napari_ctclip.plugin.window.messages import MessageAction, Messages

if TYPE_CHECKING:
    from napari_ctclip.exporting.write_exports import Exported

__all__ = ["copy_text", "export_job", "finding_script_job", "script_job", "why_not"]


def export_job(
    content: ExportContent,
    folder: Path,
    *,
    kinds: Collection[ExportKind],
    figure_size: tuple[int, int],
    messages: Messages,
) -> Job:
    """Return the job that writes kinds of files, and what they depend on, to a folder."""

    def work(progress: Progress, should_stop: StopRequested) -> Exported:
        from napari_ctclip.exporting.write_exports import write_exports

        return write_exports(
            content,
            folder,
            kinds=kinds,
            figure_size=figure_size,
            work=Work(progress=progress, should_stop=should_stop),
        )

    def done(exported: Exported) -> None:
        for notice in exported.notices:
            messages.warning(notice.message)
        text = f"{len(exported.files)} files are written to {folder}."
        messages.info(text, action=_opening(folder, messages))

    return Job(f"Writing to {folder.name}", work, done)


def script_job(content: ExportContent, *, messages: Messages) -> Job:
    """Return the job that copies the script of all numbers; it hashes the scan."""

    def work(progress: Progress, should_stop: StopRequested) -> str:
        from napari_ctclip.exporting.reproduction_script import export_script

        return export_script(content).text

    def done(text: str) -> None:
        copy_text(text)
        messages.info("The reproduction script is copied: Python that gives these numbers again.")

    return Job("Writing the reproduction script", work, done)


def finding_script_job(
    content: ExportContent, key: str, *, path: Path | None, messages: Messages
) -> Job:
    """Return the job that writes the script of one finding, or copies it where there is no path."""

    def work(progress: Progress, should_stop: StopRequested) -> tuple[str, str]:
        from napari_ctclip.exporting.reproduction_script import finding_script, write_script

        if path is not None:
            script = finding_script(content, key, name=path.name)
            _, *beside = write_script(script, path, volume=content.study.volume)
            names = [str(path), *(file.name for file in beside)]
            return "", f"The reproduction script is written to {' and '.join(names)}."
        script = finding_script(content, key)
        text = "The reproduction script of the finding is copied: a command and Python."
        if script.masks:
            missing = " and ".join(script.masks)
            text += f" It reads {missing}: “Save script…” writes that beside it."
        return script.text, text

    def done(result: tuple[str, str]) -> None:
        script, text = result
        if path is not None:
            messages.info(text, action=_opening(path.parent, messages))
        else:
            copy_text(script)
            messages.info(text)

    return Job("Writing the reproduction script", work, done)


def copy_text(text: str) -> None:
    """Put a text on the clipboard."""
    clipboard = QApplication.clipboard()
    if clipboard is not None:
        clipboard.setText(text)


def why_not(kind: ExportKind, content: ExportContent) -> str:
    """Return why a kind of file cannot be had of this content; empty if it can."""
    masks = content.study.organ_masks
    has_region = any(finding.region is not None for finding in content.kept)
    is_dicom = content.study.volume.metadata.get("series") is not None
    if kind in (ExportKind.SEG, ExportKind.PARAMETRIC_MAP) and not is_dicom:
        return "needs a scan read from DICOM"
    if kind is ExportKind.SEG and not has_region and masks is None:
        return "needs a finding with a region, or organ masks"
    if kind is ExportKind.PARAMETRIC_MAP and not content.answers:
        return "needs a prompt that is answered"
    return ""


def _opening(folder: Path, messages: Messages) -> MessageAction:
    """Return the button that shows a folder in the system's own program for files."""

    def act() -> None:
        if not QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder.absolute()))):
            messages.warning(f"No program that shows folders was found; the files lie in {folder}.")

    return MessageAction("Open folder", f"Show {folder}", act)

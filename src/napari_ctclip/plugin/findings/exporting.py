"""Exporting: answers and findings as files or on the clipboard, made in the background."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QApplication

from napari_ctclip.encoding.work import Work
from napari_ctclip.exporting.content import EVERYDAY_KINDS, ExportContent, ExportKind
from napari_ctclip.figures.figures import DEFAULT_SIZE
from napari_ctclip.plugin.window.jobs import Job, Progress, StopRequested
from napari_ctclip.plugin.window.messages import MessageAction, Messages
from napari_ctclip.plugin.window.window import Window
from napari_ctclip.session.findings_session import FindingsSession

if TYPE_CHECKING:
    from napari_ctclip.exporting.write_exports import Exported

__all__ = ["ExportFlow", "copy_text", "why_not"]


class ExportFlow:
    """What is written of the open study: tables, pictures, DICOM objects, reproduction scripts.

    Parameters
    ----------
    window : Window
        Whose answers are written, and where the user reads where to.
    findings : FindingsSession
        The findings that are written.
    model_name : callable
        Returns the name or folder that the model was loaded from.
    """

    def __init__(
        self, window: Window, *, findings: FindingsSession, model_name: Callable[[], str]
    ) -> None:
        self._window, self._findings, self._model_name = window, findings, model_name

    def content(self) -> ExportContent:
        """Return what an export would hold now.

        Raises
        ------
        CtClipError
            If there is nothing to export.
        """
        findings = self._findings.findings
        return ExportContent.of(self._window.session, findings, model_source=self._model_name())

    def write(
        self,
        folder: Path,
        *,
        kinds: Collection[ExportKind] = EVERYDAY_KINDS,
        figure_size: tuple[int, int] = DEFAULT_SIZE,
    ) -> None:
        """Write answers and findings to a folder, in the background.

        Raises
        ------
        CtClipError
            If there is nothing to export.
        """
        content = self.content()  # taken here: the session may turn to another study
        messages = self._window.messages

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

        self._window.jobs.submit(Job(f"Writing to {folder.name}", work, done))

    def copy_script(self) -> None:
        """Copy the reproduction script of every number of the open study, in the background.

        Raises
        ------
        CtClipError
            If there is nothing to reproduce.
        """
        content, messages = self.content(), self._window.messages

        def work(progress: Progress, should_stop: StopRequested) -> str:
            from napari_ctclip.exporting.reproduction_script import export_script

            return export_script(content).text

        def done(text: str) -> None:
            copy_text(text)
            messages.info("The reproduction script is copied: Python that gives these numbers.")

        self._window.jobs.submit(Job("Writing the reproduction script", work, done))

    def script_of(self, key: str, path: Path | None = None) -> None:
        """Copy the reproduction script of one finding, or write it to a file, in the background.

        Raises
        ------
        CtClipError
            If there is nothing to reproduce.
        """
        content, messages = self.content(), self._window.messages

        def work(progress: Progress, should_stop: StopRequested) -> tuple[str, str]:
            return _copied(content, key) if path is None else ("", _written(content, key, path))

        def done(result: tuple[str, str]) -> None:
            text, said = result
            if path is not None:
                messages.info(said, action=_opening(path.parent, messages))
            else:
                copy_text(text)
                messages.info(said)

        self._window.jobs.submit(Job("Writing the reproduction script", work, done))


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


def _copied(content: ExportContent, key: str) -> tuple[str, str]:
    """Return the script of a finding, and what to say once it is copied."""
    from napari_ctclip.exporting.reproduction_script import finding_script

    script = finding_script(content, key)
    said = "The reproduction script of the finding is copied: a command and Python."
    if script.masks:
        missing = " and ".join(script.masks)
        said += f" It reads {missing}: “Save script…” writes that beside it."
    return script.text, said


def _written(content: ExportContent, key: str, path: Path) -> str:
    """Write the script of a finding, and return what to say of it."""
    from napari_ctclip.exporting.reproduction_script import finding_script, write_script

    script = finding_script(content, key, name=path.name)
    _, *beside = write_script(script, path, volume=content.study.volume)
    names = [str(path), *(file.name for file in beside)]
    return f"The reproduction script is written to {' and '.join(names)}."

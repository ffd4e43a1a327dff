"""Menus: what the panel does, as commands of napari's menus and its command palette."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari import current_viewer
from napari.utils.notifications import show_info
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_ctclip.plugin.canvas._compat import main_window
from napari_ctclip.plugin.shell.workbench import Workbench, workbench_of
from napari_ctclip.plugin.window.settings import show_preferences

__all__ = [
    "ask_totalsegmentator",
    "clear_cache",
    "encode_scan",
    "export_answers",
    "make_quick_masks",
    "offer_real_ct",
    "open_ct",
    "open_dicom",
    "open_session",
    "open_settings",
    "save_session",
]

_CT_FILES = "CT (*.nii *.nii.gz *.nrrd *.mha *.mhd *.dcm *.gz);;All files (*)"


def open_ct() -> None:
    """Ask for a CT file and open it."""

    def act(bench: Workbench) -> None:
        path, _ = QFileDialog.getOpenFileName(main_window(bench.viewer), "Open CT", "", _CT_FILES)
        if path:
            bench.studies.open_path(Path(path))

    _do(act)


def open_dicom() -> None:
    """Ask for a DICOM folder and open it."""

    def act(bench: Workbench) -> None:
        path = QFileDialog.getExistingDirectory(main_window(bench.viewer), "Open DICOM folder")
        if path:
            bench.studies.open_path(Path(path))

    _do(act)


def encode_scan() -> None:
    """Encode the open scan now, so that the first prompt answers at once."""
    _do(lambda bench: bench.prompts.encode())


def make_quick_masks() -> None:
    """Make organ masks of the open scan from CT numbers."""
    _do(lambda bench: bench.studies.make_quick_masks())


def ask_totalsegmentator() -> None:
    """Make organ masks of the open scan with TotalSegmentator."""
    _do(lambda bench: bench.studies.run_totalsegmentator())


def export_answers() -> None:
    """Ask what to write of the answers and findings, and where to."""

    def act(bench: Workbench) -> None:
        from napari_ctclip.plugin.findings.export_dialog import ExportDialog

        ExportDialog(bench.window, bench.exports, parent=main_window(bench.viewer)).show()

    _do(act)


def save_session() -> None:
    """Ask for a file and save scan, prompts, view and findings to it."""

    def act(bench: Workbench) -> None:
        from napari_ctclip.plugin.session.session_controls import ask_save_session

        ask_save_session(bench.sessions, main_window(bench.viewer))

    _do(act)


def open_session() -> None:
    """Ask for a session file and open it."""

    def act(bench: Workbench) -> None:
        from napari_ctclip.plugin.session.session_controls import ask_open_session

        ask_open_session(bench.sessions, main_window(bench.viewer))

    _do(act)


def offer_real_ct() -> None:
    """Show the real scans that can be downloaded; the chosen one opens when it is here.

    No entry of *Open Sample*: napari takes one that adds no layer at once for a failure.
    """

    def act(bench: Workbench) -> None:
        from napari_ctclip.plugin.study.sample_dialog import SampleDialog

        SampleDialog(bench.window, bench.studies.open_path, parent=main_window(bench.viewer)).show()

    _do(act)


def open_settings() -> None:
    """Show the plugin's page of napari's Preferences."""
    _do(lambda bench: show_preferences(bench.viewer))


def clear_cache() -> None:
    """Empty the feature cache."""

    def act(bench: Workbench) -> None:
        size = bench.session.cache.size_bytes()
        bench.session.cache.clear()
        bench.messages.info(f"{size / 1e6:,.0f} MB of cached features are deleted.")

    _do(act)


def _do(act: Callable[[Workbench], None]) -> None:
    """Run a command on the current viewer; without the panel, napari shows what it says."""
    viewer = current_viewer()
    if viewer is None:
        return
    bench = workbench_of(viewer)
    window = main_window(bench.viewer)
    if window is not None and window.findChild(QWidget, "ctclip panel") is None:
        show_info("Messages of CT-CLIP stand in its panel: Plugins > CT-CLIP.")
    bench.guarded(lambda: act(bench))

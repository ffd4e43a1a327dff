"""About: what this is, what it is not, and the keys."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

from napari import current_viewer
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QMessageBox

from napari_ctclip.plugin.canvas._compat import main_window
from napari_ctclip.plugin.shell.keys import KEYS, MOUSE
from napari_ctclip.plugin.window.status_strip import RESEARCH_USE

__all__ = ["about_text", "show_about"]


def about_text() -> str:
    """Return what the dialog says, as HTML."""
    keys = _rows({key.replace("-", "+"): does for key, does in KEYS.items()})
    return (
        f"<h3>napari-ctclip {version('napari-ctclip')}</h3>"
        f"<p><b>{RESEARCH_USE}</b></p>"
        "<p>Type a finding, see where it is on a CT. A similarity says how much a region looks "
        "like the words, relative to this scan; it is not a probability of disease. A heatmap is "
        "as coarse as the model's tokens.</p>"
        "<p>Nothing leaves this computer. Code: Apache-2.0; a model's licence stands in its card."
        f"</p><p>Keys in the picture:</p><table>{keys}</table>"
        f"<p>The mouse:</p><table>{_rows(MOUSE)}</table>"
    )


def _rows(meanings: Mapping[str, str]) -> str:
    return "".join(
        f"<tr><td><b>{name}</b>&nbsp;&nbsp;</td><td>{does}</td></tr>"
        for name, does in meanings.items()
    )


def show_about() -> None:
    """Show the dialog."""
    viewer = current_viewer()
    box = QMessageBox(None if viewer is None else main_window(viewer))
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setWindowTitle("About CT-CLIP")
    box.setText(about_text())
    box.show()

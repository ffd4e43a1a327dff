"""Settings: what napari stores for the plugin, and the page of Preferences that shows it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_warning

if TYPE_CHECKING:
    from napari.viewer import Viewer
    from qtpy.QtCore import QObject

__all__ = ["keep_setting", "on_setting_changed", "setting", "show_preferences"]

_LOG = logging.getLogger(__name__)
_PAGE = "CT-CLIP"  # the display name in napari.yaml


def setting(name: str, *, default: Any) -> Any:
    """Return one of the plugin's settings (Preferences > Plugin Preferences)."""
    found = _settings()
    return default if found is None else getattr(found, name, default)


def keep_setting(name: str, value: Any) -> None:
    """Store one of the plugin's settings; said once where it holds only until napari ends."""
    found = _settings()
    if found is None:
        return
    try:
        setattr(found, name, value)
    except OSError as error:  # of the file; the value itself is taken by then
        _tell_not_kept(f"{error.filename or 'the settings'}: {error.strerror or error}")


@cache
def _tell_not_kept(reason: str) -> None:
    show_warning(
        f"CT-CLIP: settings cannot be stored ({reason}). They hold until napari ends; make room or "
        "make the folder writable."
    )


def on_setting_changed(owner: QObject, callback: Callable[[Any], None]) -> None:
    """Call back after one of the plugin's settings changed, as long as ``owner`` lives."""
    found = _settings()
    if found is not None:
        found.events.connect(callback)
        owner.destroyed.connect(lambda: found.events.disconnect(callback))


def show_preferences(viewer: Viewer) -> None:
    """Open napari's Preferences at the plugin's page."""
    dialog = viewer.window._open_preferences_dialog()
    pages = dialog._list
    for row in range(pages.count()):
        if pages.item(row).text() == _PAGE:
            pages.setCurrentRow(row)


def _settings() -> Any:
    from napari.settings import get_plugin_settings

    try:
        return get_plugin_settings("napari-ctclip").panel
    except (AttributeError, KeyError, ValueError) as error:  # plugin not registered, e.g. in tests
        _LOG.debug("no plugin settings: %s", error)
        return None

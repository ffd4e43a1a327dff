"""Preferences: the plugin's page in napari's Preferences, and what takes effect from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ctclip.encoding.feature_cache import FeatureCache, default_cache_folder
from napari_ctclip.plugin.window.settings import on_setting_changed, setting
from napari_ctclip.session.session import Session

if TYPE_CHECKING:
    from napari_ctclip.plugin.shell.study_widget import StudyWidget

__all__ = ["Preferences", "follow_preferences", "preferences", "preferred_session"]

_GIB = 2**30


@dataclass(frozen=True)
class Preferences:
    """What the user chose; the defaults are those of ``napari.yaml``.

    Attributes
    ----------
    device : str
        Where models compute.
    model : str
        Name or folder of the model that the first prompt loads.
    quick_masks : bool
        Whether organ masks are made from CT numbers when a CT is opened.
    cache_folder : str
        The folder of the feature cache; empty for that of the user's account.
    cache_limit_gb : float
        Above it the least recently used features are deleted; 0 caches none.
    """

    device: str = "auto"
    model: str = "starter"
    quick_masks: bool = True
    cache_folder: str = ""
    cache_limit_gb: float = 10.0


def preferences() -> Preferences:
    """Return what napari's Preferences hold now."""
    defaults = Preferences()
    return Preferences(
        device=str(setting("device", default=defaults.device)),
        model=str(setting("model", default=defaults.model)).strip() or defaults.model,
        quick_masks=bool(setting("quick_masks", default=defaults.quick_masks)),
        cache_folder=str(setting("cache_folder", default="")).strip(),
        cache_limit_gb=float(setting("cache_limit_gb", default=defaults.cache_limit_gb)),
    )


def preferred_session() -> Session:
    """Return a new session with the device and the cache that the user chose."""
    chosen = preferences()
    cache = FeatureCache(_folder(chosen), limit_bytes=round(chosen.cache_limit_gb * _GIB))
    return Session(cache=cache, device=chosen.device)


def follow_preferences(panel: StudyWidget) -> None:
    """Let changes in Preferences take effect in an open panel, at once."""
    before = [preferences()]

    def apply(event: Any = None) -> None:
        chosen, last = preferences(), before[0]
        before[0] = chosen
        with panel.workbench.messages.border():
            _apply(panel, chosen, last)

    on_setting_changed(panel, apply)


def _apply(panel: StudyWidget, chosen: Preferences, last: Preferences) -> None:
    """Apply what changed; napari tells every key stroke, so nothing here may cost or destroy."""
    bench = panel.workbench
    session = bench.session
    if chosen.quick_masks != last.quick_masks:
        panel.data.automatic.setChecked(chosen.quick_masks)
    if chosen.cache_folder != last.cache_folder:
        session.cache.folder = _folder(chosen)
        panel.model.show_cache()
    session.cache.limit_bytes = round(chosen.cache_limit_gb * _GIB)
    if chosen.model != last.model and session.model is None:
        bench.prompts.model_name = chosen.model
    if chosen.device != last.device:
        panel.model.device.setCurrentText(chosen.device)
        if session.model is None:
            session.device = chosen.device
        else:
            bench.prompts.load_model(bench.prompts.model_name, device=chosen.device)


def _folder(chosen: Preferences) -> Path:
    folder = chosen.cache_folder
    return Path(folder).expanduser() if folder else default_cache_folder()

"""Typed prompts: what earlier windows were asked, kept in the settings for completion."""

from __future__ import annotations

from collections.abc import Sequence

from napari_ctclip.plugin.window.settings import keep_setting, setting

__all__ = ["remember_prompt", "remembered_prompts"]

_KEPT, _KEEPS = "typed_prompts", "keep_typed_prompts"
_BETWEEN = "; "  # as one types them
_MOST = 60
_LONGEST = 80  # Ours: a longer text was pasted, may come from a report, and must not be kept


def remembered_prompts() -> list[str]:
    """Return the prompts of earlier windows, oldest first; none if the user wants none kept."""
    if not setting(_KEEPS, default=True):
        return []
    parts = str(setting(_KEPT, default="")).split(_BETWEEN.strip())
    return [part.strip() for part in parts if part.strip()]


def remember_prompt(typed: str) -> None:
    """Keep what was typed, one prompt or several, unless the user wants none kept."""
    if not setting(_KEEPS, default=True):
        return
    known = remembered_prompts()
    now = _joined([*known, *(part for part in typed.split(";") if len(part) <= _LONGEST)])
    if now != _joined(known):
        keep_setting(_KEPT, now)


def _joined(prompts: Sequence[str]) -> str:
    """Return the last prompts, each once, in one text."""
    plain = [" ".join(prompt.split()) for prompt in prompts]
    last_first = dict.fromkeys(prompt for prompt in reversed(plain) if prompt)
    return _BETWEEN.join(reversed(list(last_first)[:_MOST]))

"""Prompt to layer: from a typed prompt to a napari layer holding the new map, painting left out."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.study import Study
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.plugin.shell.launch import open_window
from napari_ctclip.plugin.shell.study_widget import StudyWidget
from napari_ctclip.segmentation.quick_masks import quick_organ_masks

_PROMPTS = ("lung nodule", "mass in the hilum", "fluid at the base", "ground glass", "free air")
_ROUNDS = 10


def run(study: Study) -> dict[str, str]:
    """Return the benchmark's lines."""
    start = time.perf_counter()
    masks = quick_organ_masks(study.volume)
    lines = {"quick organ masks": f"{time.perf_counter() - start:.2f} s"}
    viewer, widget = open_window(study.with_masks(masks), show=False, quick_masks=False)
    session = widget.workbench.session
    with tempfile.TemporaryDirectory() as folder:
        session.cache = FeatureCache(Path(folder))
        session.load_model("starter")
        session.set_masks(session.prepare_masks(masks))
        session.set_encoding(session.compute_encoding())
        for name, ask in (("first asked", _first_asked), ("asked again", _asked_again)):
            p50, p95 = np.percentile(_milliseconds(widget, ask), (50, 95))
            lines[f"prompt to layer, {name}: median"] = f"{p50:.0f} ms"
            lines[f"prompt to layer, {name}: p95 (aim <= 50)"] = f"{p95:.0f} ms"
    widget.workbench.studies.let_go()
    viewer.close()
    return lines


def _milliseconds(
    widget: StudyWidget, ask: Callable[[StudyWidget, int, str], float]
) -> list[float]:
    for number, text in enumerate(_PROMPTS):  # warm-up
        ask(widget, -1 - number, text)
    return [1000 * ask(widget, number, text) for number in range(_ROUNDS) for text in _PROMPTS]


def _first_asked(widget: StudyWidget, number: int, text: str) -> float:
    """Return the seconds of a prompt never seen before, while the last one's heatmap is hidden."""
    flow, session = widget.workbench.prompts, widget.workbench.session
    prompt = Prompt(f"{text} {number}")
    flow.state.add(prompt)
    flow.show_only(prompt.positive)
    start = time.perf_counter()
    session.ask(prompt)
    return time.perf_counter() - start


def _asked_again(widget: StudyWidget, number: int, text: str) -> float:
    """Return the seconds of a prompt contrasted with something new: its layer gets another map."""
    session = widget.workbench.session
    if session.answer_to(text) is None:
        widget.workbench.prompts.state.add(Prompt(text))
        widget.workbench.prompts.show_only(text)
    start = time.perf_counter()
    session.ask(Prompt(text, negative=f"normal anatomy {number}"))
    return time.perf_counter() - start

"""Prompt to layer: from a typed prompt to a napari layer holding the new map, painting left out."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import napari
import numpy as np

from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.study import Study
from napari_ctclip.plugin.layers import show_heat
from napari_ctclip.regions.quick_masks import quick_organ_masks
from napari_ctclip.scoring.feature_cache import FeatureCache
from napari_ctclip.session import Session

_PROMPTS = ("lung nodule", "mass in the hilum", "fluid at the base", "ground glass", "free air")
_ROUNDS = 12


def run(study: Study) -> dict[str, str]:
    """Return the benchmark's lines."""
    start = time.perf_counter()
    masks = quick_organ_masks(study.volume)
    quick = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        session = Session(cache=FeatureCache(Path(folder)), device="cpu")
        session.set_study(replace(study, organ_masks=masks))
        session.load_model("starter")
        session.set_encoding(session.compute_encoding())
        milliseconds = _ask_and_show(session, study)
    p50, p95 = np.percentile(milliseconds, (50, 95))
    return {
        "quick organ masks": f"{quick:.2f} s",
        "prompt to layer, median": f"{p50:.0f} ms",
        "prompt to layer, p95 (aim <= 50)": f"{p95:.0f} ms",
    }


def _ask_and_show(session: Session, study: Study) -> list[float]:
    viewer = napari.Viewer(show=False)
    session.answered.connect(lambda answer: show_heat(viewer, answer, study.volume))
    session.ask("warm up")
    milliseconds = []
    for number in range(_ROUNDS):
        for text in _PROMPTS:
            start = time.perf_counter()
            # new words each time: neither the text nor the map may come from memory
            session.ask(Prompt(f"{text} {number}"))
            milliseconds.append(1000 * (time.perf_counter() - start))
            session.remove(f"{text} {number}")
    viewer.close()
    return milliseconds

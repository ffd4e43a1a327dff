"""Calibrate: fit a checkpoint's probabilities and write them into its description."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import tomli_w

from napari_ctclip.evaluation.calibration import fit_platt
from napari_ctclip.evaluation.simulated import examine
from napari_ctclip.io.files import write_text
from napari_ctclip.models.factory import load_model
from napari_ctclip.models.interface import Calibration
from napari_ctclip.pretraining.data.sentences import load_vocabulary

__all__ = ["calibrate_checkpoint"]

_SOURCE = "simulated chest CT with each finding asked for in its own region"


def calibrate_checkpoint(
    folder: Path, seeds: Iterable[int], *, cache: Path, tokens: int
) -> Calibration:
    """Return the calibration of a model folder, after writing it into ``model.toml``.

    One curve for all findings, asked for by their names: what a text not among them would score is
    not known to be calibrated.
    """
    model = load_model(folder)
    prompts = {finding.name: (finding.name,) for finding in load_vocabulary().findings}
    results = examine(model, seeds, prompts=prompts, cache=cache)
    answers = [(a.finding in r.diameters_mm, a.score(tokens)) for r in results for a in r.answers]
    labels, scores = (np.array(column) for column in zip(*answers, strict=True))
    calibration = fit_platt(labels, scores, source=f"{len(results)} {_SOURCE}")
    file = folder / "model.toml"
    description = tomllib.loads(file.read_text("utf-8"))
    description["calibration"] = asdict(calibration)
    write_text(file, tomli_w.dumps(description), durable=True)
    return calibration

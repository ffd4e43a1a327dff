"""Simulated studies as an examination: detection and localisation of every finding, by size."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.prompt import Prompt
from napari_ctclip.encoding.encoding import encode_input
from napari_ctclip.evaluation.study_cache import cached_study
from napari_ctclip.io.files import write_text
from napari_ctclip.models.interface import VisionLanguageModel
from napari_ctclip.regions.token_grid import token_regions
from napari_ctclip.scoring.heatmap import TokenIndex
from napari_ctclip.simulation import FINDINGS, SimulatedStudy

__all__ = [
    "EVALUATION_SEED",
    "VALIDATION_SEED",
    "Answer",
    "StudyResult",
    "examine",
    "examine_study",
]

logger = logging.getLogger(__name__)

EVALUATION_SEED = 100_000
VALIDATION_SEED = 50_000
_SPACING_MM = (2.0, 2.0, 2.0)
_KEPT = 20  # highest tokens that are kept of an answer: 1.3 ml at 4 mm

# Coronary plaques lie on the heart, and the simulated heart is all that the pericardium holds.
_REGION = dict.fromkeys(FINDINGS, "lung") | {
    "coronary calcification": "heart",
    "aortic calcification": "aorta",
    "cardiomegaly": "heart",
    "pericardial effusion": "heart",
}


@dataclass(frozen=True)
class Answer:
    """What the model said to one prompt about one study.

    Attributes
    ----------
    finding, prompt : str
        What was meant, and the words.
    highest : tuple of float
        Similarities of the highest tokens in the region that the finding belongs to, descending.
    hit : bool
        Whether the token of the highest similarity in that region touches the finding.
    """

    finding: str
    prompt: str
    highest: tuple[float, ...]
    hit: bool

    def score(self, tokens: int) -> float:
        """Return the region's score when it is read from so many of its highest tokens."""
        return float(np.mean(self.highest[:tokens]))


@dataclass(frozen=True)
class StudyResult:
    """One study's truth and answers.

    Attributes
    ----------
    seed : int
        Of the simulation.
    diameters_mm : mapping of str to float
        Largest lesion of each finding that is present.
    answers : tuple of Answer
        One a prompt.
    """

    seed: int
    diameters_mm: Mapping[str, float]
    answers: tuple[Answer, ...]


def examine(
    model: VisionLanguageModel,
    seeds: Iterable[int],
    *,
    prompts: Mapping[str, Sequence[str]],
    cache: Path,
) -> list[StudyResult]:
    """Return the results of many studies; those in ``cache`` for the same weights are read.

    Parameters
    ----------
    model : VisionLanguageModel
        Examined model.
    seeds : iterable of int
        Studies.
    prompts : mapping of str to sequence of str
        Wordings of each finding.
    cache : Path
        One small file a study: an interrupted run goes on where it stopped.
    """
    folder = cache / model.weights_hash()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    results = []
    for seed in seeds:
        file = folder / f"{seed}.json"
        if file.exists():
            results.append(_read(file, prompts))
            continue
        result = examine_study(model, _study(seed, cache / "studies"), seed=seed, prompts=prompts)
        write_text(file, json.dumps(asdict(result)))
        results.append(result)
        logger.info("examined study %d", seed)
    return results


def examine_study(
    model: VisionLanguageModel,
    simulated: SimulatedStudy,
    *,
    seed: int,
    prompts: Mapping[str, Sequence[str]],
) -> StudyResult:
    """Return one study's truth and answers."""
    prepared = model.preprocessing.prepare(simulated.study.volume)
    scan = encode_input(model, prepared)
    masks = simulated.study.organ_masks
    assert masks is not None
    regions = token_regions(masks, prepared.geometry, model.patch_size)
    asked = np.zeros(scan.inside.shape, dtype=bool)
    for name in {_REGION[finding] for finding in prompts}:
        asked.ravel()[regions.tokens[name]] = True
    # only tokens that can decide: a hundred prompts then cost less than the encoding
    index = TokenIndex(model, replace(scan, inside=scan.inside & asked))
    answers = []
    for finding, wordings in prompts.items():
        mask = simulated.finding_mask(finding)
        tokens = regions.tokens[_REGION[finding]]
        for wording in wordings:
            values = index.similarity_map(Prompt(wording)).values
            ranked = _highest(values.ravel(), tokens)
            z, y, x = (int(i) for i in np.unravel_index(ranked[0], values.shape))
            hit = _touches((z, y, x), mask, model.patch_size)
            highest = tuple(float(v) for v in values.ravel()[ranked])
            answers.append(Answer(finding, wording, highest, hit))
    return StudyResult(seed, _diameters(simulated), tuple(answers))


def presimulate(seeds: Iterable[int], cache: Path) -> None:
    """Simulate studies into ``cache`` ahead of an examination."""
    for seed in seeds:
        _study(seed, cache / "studies")


def _study(seed: int, folder: Path) -> SimulatedStudy:
    """Return a study; its voxels are kept in ``folder`` so that a second model need not wait."""
    return cached_study(seed, folder, spacing_mm=_SPACING_MM)


def _highest(values: npt.NDArray[np.float32], tokens: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return the flat indices of the highest tokens of a region, descending."""
    tokens = tokens[np.isfinite(values[tokens])]
    top = np.argpartition(-values[tokens], _KEPT)[:_KEPT] if len(tokens) > _KEPT else slice(None)
    kept = tokens[top]
    return np.asarray(kept[np.argsort(-values[kept])])


def _touches(
    token: tuple[int, int, int], mask: npt.NDArray[np.bool_], patch_size: tuple[int, int, int]
) -> bool:
    block = tuple(slice(i * p, (i + 1) * p) for i, p in zip(token, patch_size, strict=True))
    return bool(mask[block].any())


def _diameters(simulated: SimulatedStudy) -> dict[str, float]:
    largest: dict[str, float] = {}
    for lesion in simulated.lesions:
        largest[lesion.finding] = max(largest.get(lesion.finding, 0.0), lesion.diameter_mm)
    return largest


def _read(file: Path, prompts: Mapping[str, Sequence[str]]) -> StudyResult:
    """Return a stored result; answers to prompts that are not asked now are dropped."""
    table: dict[str, Any] = json.loads(file.read_text("utf-8"))
    asked = {(finding, wording) for finding, wordings in prompts.items() for wording in wordings}
    answers = (
        Answer(a["finding"], a["prompt"], tuple(a["highest"]), a["hit"]) for a in table["answers"]
    )
    kept = tuple(a for a in answers if (a.finding, a.prompt) in asked)
    return StudyResult(int(table["seed"]), table["diameters_mm"], kept)

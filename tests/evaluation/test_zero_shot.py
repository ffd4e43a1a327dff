"""Where a task is read out: its anatomy, its parts, the whole scan, or nowhere."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.similarity_map import Peak, SimilarityMap
from napari_ctclip.evaluation import zero_shot
from napari_ctclip.evaluation.task_files import ZeroShotTask
from napari_ctclip.evaluation.zero_shot import ask_task
from napari_ctclip.scoring.answer import Answer
from napari_ctclip.scoring.region_scores import WHOLE_SCAN, RegionScore

SCORES = {WHOLE_SCAN: 0.9, "lung": 0.5, "heart": 0.2, "aorta": 0.3, "rib_left_1": 0.1,
          "rib_left_2": 0.4}  # fmt: skip


@pytest.fixture
def ask(monkeypatch):
    """Ask a study whose organs score as in ``SCORES``."""

    def answered(model, encoded, prompt):
        grid = Geometry.from_spacing((1, 1, 1), (4.0, 4.0, 4.0))
        similarity_map = SimilarityMap(np.zeros((1, 1, 1), np.float32), grid, prompt)
        peak = Peak((0, 0, 0), (0.0, 0.0, 0.0), 0.0)
        return Answer(
            prompt, similarity_map, tuple(RegionScore(n, v, v, peak) for n, v in SCORES.items())
        )

    monkeypatch.setattr(zero_shot, "answer_prompt", answered)

    def ask(words, *anatomies, masks=True):
        encoded = SimpleNamespace(mask_readout=object() if masks else None)
        found = ask_task(None, encoded, ZeroShotTask("x", (words,), ("no x",), anatomies))
        return found.region, found.similarity

    return ask


def test_a_task_is_read_out_in_its_anatomy_or_the_highest_of_several(ask):
    assert ask("nodule", "lung") == ("lung", 0.5)
    assert ask("calcification", "heart", "aorta") == ("aorta", 0.3)
    assert ask("calcification", "heart", "pancreas") == ("heart", 0.2)
    assert ask("fracture", "rib") == ("rib_left_2", 0.4)


def test_pleural_findings_are_read_out_in_the_lung_where_there_is_no_cavity(ask):
    assert ask("pleural effusion", "thoracic_cavity") == ("lung", 0.5)


def test_the_whole_scan_is_read_out_only_where_it_is_asked_for(ask):
    assert ask("nodule", WHOLE_SCAN) == (WHOLE_SCAN, 0.9)
    assert ask("something odd") == (WHOLE_SCAN, 0.9)
    assert ask("cardiomegaly") == ("heart", 0.2)  # the words speak of one
    assert ask("nodule", "lung", masks=False) == (WHOLE_SCAN, 0.9)


@pytest.mark.parametrize(("words", "anatomies"), [("cyst", ("liver",)), ("hepatic cyst", ())])
def test_a_missing_organ_has_no_score(ask, words, anatomies):
    region, similarity = ask(words, *anatomies)
    assert region == ""
    assert np.isnan(similarity)

from __future__ import annotations

from pathlib import Path

import pytest

import napari_ctclip as ctclip
from napari_ctclip.testing import TinyModel
from tests.evaluation.evaluation_studies import write_studies
from tests.paths import TRAINING

BALLS = (True, False, True, False, True, False)
SPLITS = ("valid", "valid", "test", "test", "test", "test")


def test_evaluation_has_an_area_with_its_interval_and_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAPARI_CTCLIP_CACHE", str(tmp_path / "cache"))
    studies = write_studies(tmp_path, BALLS, splits=SPLITS)
    results = ctclip.evaluate(
        studies.manifest, str(studies.task), out=tmp_path / "out", model=TinyModel()
    )
    area = results.macro.values["auroc"]
    assert 0.5 < area.value <= 1.0
    assert (tmp_path / "out" / "report.html").is_file()


@pytest.mark.slow
def test_trained_model_opens_by_its_folder(tmp_path: Path) -> None:
    folder = ctclip.train(
        TRAINING / "clip" / "smoke.toml",
        tmp_path / "run",
        overrides=["optimizer.steps=2", "optimizer.warm_up=1", "loop.save_every=2"],
    )
    assert ctclip.load_model(folder, device="cpu").name == "clip-smoke"


def test_unknown_recipe_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ctclip.CtClipError, match="no recipe 'clop'; expected one of clip, "):
        ctclip.train("clop", tmp_path)

"""Exports of what is seldom there: one slice, odd names, nothing but rejected findings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.finding import Finding
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.region import Region
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume
from napari_ctclip.exporting.content import ExportContent, ExportKind
from napari_ctclip.exporting.write_exports import write_exports
from napari_ctclip.io.masks.legends import read_legend
from napari_ctclip.scoring.answer import Answer
from napari_ctclip.scoring.region_scores import region_scores

SHAPE = (1, 24, 32)


def content(*findings: Finding, positive: str = "nodule", asked: bool = True) -> ExportContent:
    """Return a scan of one slice with a hot middle, and findings."""
    geometry = Geometry.from_spacing(SHAPE, (2.0, 1.0, 1.0))
    volume = Volume(np.full(SHAPE, -800, dtype=np.int16), geometry)
    tokens = geometry.coarsened((1, 8, 8))
    values = np.zeros(tokens.shape, dtype=np.float32)
    values[0, 1, 2] = 1.0
    heat = SimilarityMap(values, tokens, Prompt(positive))
    answer = Answer(heat.prompt, heat, region_scores(heat, None, scale=10.0))
    answers = (answer,) if asked else ()
    return ExportContent(Study(volume, None), None, answers, findings, "cpu", "tiny")


def finding(name: str = "nodule", region: Region | None = None) -> Finding:
    """Return a finding in the middle of the slice."""
    return Finding("0", name, (0, 8, 16), (-16.0, -8.0, 0.0), -800.0, 0.1, region)


SQUARE = Region((0, 4, 10), np.ones((1, 6, 8), dtype=bool))


def test_a_scan_of_one_slice_is_drawn(tmp_path: Path):
    kinds = [ExportKind.PNG, ExportKind.NIFTI, ExportKind.HTML, ExportKind.PDF]
    written = write_exports(content(finding(region=SQUARE)), tmp_path, kinds=kinds)
    assert {file.name for file in written.files} >= {"figure_nodule.png", "finding_1.png"}


@pytest.mark.parametrize("name", [r"cost $\5 and $x$", "Knoten ≥ 8 mm: „neu“", 'a"b<c>|d*?/\\e'])
def test_any_name_is_drawn_as_typed(name: str, tmp_path: Path):
    kinds = [ExportKind.PNG, ExportKind.NIFTI, ExportKind.HTML, ExportKind.PDF]
    made = write_exports(content(finding(name, SQUARE), positive=name), tmp_path, kinds=kinds)
    for file in made.files:
        assert not set(file.name) & set('<>:"/\\|?*'), file.name


@pytest.mark.parametrize(
    ("name", "told"),
    [("Ground glass, RUL", "1_ground_glass_rul"), ("肺結節", "1_肺結節"), ("गाँठ!", "1_गाँठ")],
)
def test_the_legend_of_findings_keeps_a_name_of_any_script(name: str, told: str, tmp_path: Path):
    made = content(finding(name, SQUARE), positive=name)
    files = write_exports(made, tmp_path, kinds=[ExportKind.NIFTI]).files
    assert all(file.name.isascii() for file in files)
    assert read_legend(tmp_path / "findings.tsv") == {1: told}


@pytest.mark.parametrize("kind", [ExportKind.PNG, ExportKind.NIFTI])
def test_nothing_to_write_says_why(kind: ExportKind, tmp_path: Path):
    rejected = replace(finding(region=SQUARE)).rejected()
    with pytest.raises(DataError, match=r"No .*: no prompt has been asked"):
        write_exports(content(rejected, asked=False), tmp_path, kinds=[kind])

"""Legends: what the numbers of a label map mean, from a file beside it or given by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_ctclip.core.errors import (
    UnknownLabelScheme,
)
from napari_ctclip.io import read_organ_masks
from napari_ctclip.io.masks.legends import read_legend
from tests.io.label_files import blocks, scan
from tests.io.scan_files import write_nifti


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("organs.tsv", "index\tname\tcolor\n0\tnone\t#0\n1\tlung_right\t#0\n2\tRight Kidney\t#0\n"),
        ("organs_dseg.tsv", "index\tname\n1\tlung_right\n2\tkidney_right\n"),
        ("organs.csv", "Label;Structure\n1;Right lung\n2;kidney_right\n"),
        ("organs.json", '{"1": "lung right", "2": "kidney right"}'),
        ("organs.json", '{"lung_right": 1, "kidney_right": 2}'),
        ("organs.json", '{"labels": {"background": 0, "lung_right": 1, "kidney_right": 2}}'),
    ],
)  # fmt: skip
def test_a_legend_beside_the_file_is_found(tmp_path: Path, name: str, text: str):
    path = write_nifti(tmp_path / "organs.nii.gz", blocks())
    (tmp_path / name).write_text(text)
    read = read_organ_masks(path, scan(tmp_path))
    assert dict(read.masks.legend) == {"lung_right": 1, "kidney_right": 2}
    assert read.notices == ()


def test_a_scanner_sidecar_is_no_legend(tmp_path: Path):
    path = write_nifti(tmp_path / "organs.nii.gz", blocks())
    (tmp_path / "organs.json").write_text(json.dumps({"Modality": "CT", "KVP": 120}))
    with pytest.raises(UnknownLabelScheme):
        read_organ_masks(path, scan(tmp_path))


def test_a_given_legend_wins_and_unnamed_labels_are_left_out(tmp_path: Path):
    path = write_nifti(tmp_path / "organs.nii.gz", blocks())
    read = read_organ_masks(path, scan(tmp_path), legend={"spleen": 2})
    assert dict(read.masks.legend) == {"spleen": 2}
    assert set(np.unique(read.masks.labels)) == {0, 2}
    assert [n.code for n in read.notices] == ["unnamed-labels"]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("index\tname\n1\tliver\n1\tspleen\n", "twice"),
        ("number of things\n1\n", "no column"),
        ("", "empty"),
        ("index\tname\n0\tbackground\n", "names no anatomy"),
    ],
)
def test_a_bad_legend_is_refused(tmp_path: Path, text: str, part: str):
    (tmp_path / "legend.tsv").write_text(text)
    with pytest.raises(UnknownLabelScheme, match=part) as caught:
        read_legend(tmp_path / "legend.tsv")
    assert "legend.tsv" in str(caught.value)

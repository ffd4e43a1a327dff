"""Subgroups: texts as they are, numbers at quartiles, nobody lost."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.evaluation.subgroups import read_study_columns, subgroups_of


def test_many_numbers_are_cut_at_their_quartiles_and_everyone_is_in_one_group():
    studies = [f"s{i}" for i in range(41)]
    values = {f"s{i}": str(30 + i) for i in range(40)}
    groups = subgroups_of(studies, values)
    assert [name for name, _ in groups] == [
        "30 to below 39.75",
        "39.75 to below 49.5",
        "49.5 to below 59.25",
        "59.25 to 69",
        "unknown",
    ]
    assert (np.stack([members for _, members in groups]).sum(axis=0) == 1).all()


def test_texts_and_few_numbers_are_groups_as_they_are():
    groups = subgroups_of(["a", "b", "c"], {"a": "2", "b": "1", "c": "2"})
    assert [(name, members.sum()) for name, members in groups] == [("1", 1), ("2", 2)]


def test_odd_tables_are_refused_by_name(tmp_path):
    file = tmp_path / "c.csv"
    file.write_text("sex\nF\n", "utf-8")
    with pytest.raises(DataError, match=r"c\.csv: expected a column study_id"):
        read_study_columns(file)
    file.write_text("study_id,sex\na,F\na,M\n", "utf-8")
    with pytest.raises(DataError, match="line 3: study 'a' comes twice"):
        read_study_columns(file)
    file.write_text("study_id,sex\na, F \n", "utf-8")
    assert read_study_columns(file) == {"sex": {"a": "F"}}

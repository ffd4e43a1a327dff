"""Comparison: paired, corrected, and refused where two results cannot be compared."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.evaluation.comparison import compare_tables
from napari_ctclip.evaluation.label_metrics import MACRO, Resampling
from napari_ctclip.evaluation.paired_tests import delong_test, holm_adjusted
from napari_ctclip.evaluation.result_files import compare_folders, write_comparison
from napari_ctclip.evaluation.score_table import (
    ScoreTable,
    read_score_table,
    write_score_table,
)

LABELS = ("a", "b")


def _table(shift: float, *, scans: int = 1, studies: int = 80, seed: int = 0) -> ScoreTable:
    rng = np.random.default_rng(0)  # truth and the part of the scores that models share
    truth = (rng.random((studies, 2)) < 0.4).astype(float)
    scores = truth + rng.normal(size=(studies, 2))
    own = np.random.default_rng(seed).normal(size=(studies, 2))
    similarity = scores + shift * truth + 0.3 * own
    return ScoreTable(
        tuple(f"s{i}" for i in range(studies)),
        tuple(f"p{i // scans}" for i in range(studies)),
        ("test",) * studies,
        LABELS,
        truth,
        similarity,
        1 / (1 + np.exp(-similarity)),
        tuple(("lung", "") for _ in range(studies)),
    )


def _row(comparison, label, metric="auroc"):
    return next(r for r in comparison.rows if (r.label, r.metric) == (label, metric))


def test_a_better_model_is_better_by_delong_and_by_bootstrap():
    tables = {"old": _table(0.0, seed=1), "new": _table(1.5, seed=2)}
    comparison = compare_tables(tables, resampling=Resampling(400))
    row = _row(comparison, "a")
    old, new = tables["old"].column("a"), tables["new"].column("a")
    expected = delong_test(old.truth, old.similarity, new.similarity)
    assert row.difference.value == pytest.approx(expected.difference)
    assert row.p_delong == expected.p_value < 0.01
    assert row.p_holm >= row.p_delong
    assert row.difference.low == pytest.approx(expected.low, abs=0.02)
    assert row.difference.high == pytest.approx(expected.high, abs=0.02)
    macro = _row(comparison, MACRO)
    assert macro.difference.low > 0
    assert macro.p_bootstrap < 0.02
    assert np.isnan(macro.p_delong)


def test_two_like_models_do_not_differ():
    tables = {"one": _table(0.0, seed=1), "two": _table(0.0, seed=2)}
    comparison = compare_tables(tables, resampling=Resampling(400))
    assert _row(comparison, MACRO).p_bootstrap > 0.05
    assert _row(comparison, "a", "average_precision").p_holm > 0.05


def test_the_same_answers_differ_by_nothing_for_sure():
    tables = {"one": _table(0.0, seed=1), "two": _table(0.0, seed=1)}
    comparison = compare_tables(tables, resampling=Resampling(200))
    for row in comparison.rows:
        assert (row.difference.value, row.difference.low, row.difference.high) == (0, 0, 0)
        assert row.p_bootstrap == 1


def test_two_perfect_models_are_not_called_the_same():
    tables = {"one": _table(20.0, seed=1), "two": _table(20.0, seed=2)}
    row = _row(compare_tables(tables, resampling=Resampling(200)), MACRO)
    assert row.difference.value == 0
    assert np.isnan(row.difference.low)


def test_several_scans_of_a_patient_leave_delong_out_and_say_so():
    tables = {"one": _table(0.0, scans=2), "two": _table(1.0, scans=2)}
    comparison = compare_tables(tables, resampling=Resampling(200))
    row = _row(comparison, "a")
    assert np.isnan(row.p_delong)
    assert row.p_holm >= row.p_bootstrap
    assert [n.code for n in comparison.notices] == ["no-delong"]


def test_only_common_studies_count_and_the_rest_is_told():
    small = _table(0.0).rows(np.arange(80) < 60)
    comparison = compare_tables({"one": _table(0.0), "two": small}, resampling=Resampling(100))
    assert _row(comparison, "a").studies == 60
    assert _row(comparison, "a").difference.value == 0
    assert "one alone has 20 studies" in comparison.notices[0].message


def test_what_cannot_be_compared_is_refused():
    table = _table(0.0)
    flipped = ScoreTable(**{**vars(table), "truth": 1 - table.truth})
    with pytest.raises(DataError, match=r"disagree on the truth of 'a' in 80 studies"):
        compare_tables({"one": table, "two": flipped})
    renamed = ScoreTable(**{**vars(table), "labels": ("c", "d")})
    with pytest.raises(DataError, match="share 0 labels and 80 studies"):
        compare_tables({"one": table, "two": renamed})
    with pytest.raises(DataError, match="needs two results, got 1"):
        compare_tables({"one": table})


def test_one_class_gives_no_difference():
    table = _table(0.0)
    empty = ScoreTable(**{**vars(table), "truth": np.zeros_like(table.truth)})
    comparison = compare_tables({"one": empty, "two": empty}, resampling=Resampling(100))
    assert np.isnan(_row(comparison, "a").difference.value)
    assert np.isnan(_row(comparison, MACRO).p_bootstrap)


def test_holm_by_hand():
    assert holm_adjusted([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm_adjusted([0.5, float("nan"), 0.9]) == pytest.approx(
        [1.0, float("nan"), 1.0], nan_ok=True
    )


def test_folders_go_in_and_three_files_come_out(tmp_path):
    for name, shift in (("x/run", 0.0), ("y/run", 1.0), ("other", 2.0)):
        write_score_table(_table(shift), tmp_path / name / "scores.csv")
    folders = [tmp_path / "x" / "run", tmp_path / "y" / "run", tmp_path / "other"]
    comparison = compare_folders(folders, resampling=Resampling(100))
    assert comparison.models[:2] == ("x/run", "y/run")
    csv_file, json_file, page = write_comparison(comparison, tmp_path / "out")
    with csv_file.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 2 * 3  # pairs, metrics, labels and their mean
    assert json.loads(json_file.read_text())["rows"][2]["p_delong"] is None
    text = page.read_text("utf-8")
    assert text.count("<img") == 3
    assert "<script" not in text
    with pytest.raises(DataError, match="given twice"):
        compare_folders([folders[0], folders[0]])
    with pytest.raises(DataError, match=r"no scores\.csv"):
        compare_folders([folders[0], tmp_path])


def test_a_table_comes_back_as_it_was_written(tmp_path):
    table = _table(0.0, studies=6)
    table.truth[0, 0] = np.nan
    table.similarity[1, 1] = np.nan
    write_score_table(table, tmp_path / "s.csv")
    again = read_score_table(tmp_path / "s.csv")
    assert (again.studies, again.patients, again.labels) == (
        table.studies,
        table.patients,
        table.labels,
    )
    assert np.array_equal(again.truth, table.truth, equal_nan=True)
    assert np.allclose(again.similarity, table.similarity, rtol=1e-8, equal_nan=True)
    column = again.column("a")
    assert (len(column.truth), column.unlabelled, column.unscored) == (5, 1, 0)
    assert again.column("b").unscored == 1


def test_damaged_tables_are_refused_by_name(tmp_path):
    file = tmp_path / "s.csv"
    file.write_text("study_id,label\n1,a\n", "utf-8")
    with pytest.raises(DataError, match=r"s\.csv: expected columns"):
        read_score_table(file)
    write_score_table(_table(0.0, studies=2), file)
    lines = file.read_text("utf-8").splitlines()
    file.write_text("\n".join([*lines, lines[1]]), "utf-8")
    with pytest.raises(DataError, match="study 's0' has 'a' twice"):
        read_score_table(file)

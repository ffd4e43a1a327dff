"""The commands about reports, as a user runs them."""

from __future__ import annotations

import csv
import json
import tomllib

import pytest
from typer.testing import CliRunner

from napari_ctclip.cli import train as cli_train

REPORTS = (
    ("a", "The heart is enlarged. No pleural effusion."),
    ("b", 'A nodule of 4 mm in the left upper lobe. The text says <b>"bold" & more</b>.'),
    ("c", "Kein Pneumothorax und die Lunge ist unauffällig."),
    ("d", ""),
)


@pytest.fixture
def reports(tmp_path):
    file = tmp_path / "reports.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([("scan", "report"), *REPORTS])
    return file


def run(*arguments: object):
    return CliRunner().invoke(cli_train.app, [str(argument) for argument in arguments])


def test_decompose_writes_records_and_both_audits(reports, tmp_path):
    out = tmp_path / "out"
    result = run(
        "decompose", reports, "--text-column", "report", "--id-column", "scan", "--out", out
    )
    assert result.exit_code == 0, result.output
    lines = (out / "decomposed.jsonl").read_text("utf-8").splitlines()
    records = {record["id"]: record for record in map(json.loads, lines)}
    assert list(records) == ["a", "b", "c", "d"]
    assert records["a"]["findings"] == {"cardiomegaly": "present", "pleural effusion": "absent"}
    assert records["a"]["anatomies"]["lung"]["normal"]
    assert records["b"]["sentences"][0]["structures"] == ["lung_upper_lobe_left"]
    assert records["c"]["notices"][0]["code"] == "not-english"
    assert records["d"]["notices"][0]["code"] == "empty-report"
    with (out / "audit.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    first = next(row for row in rows if row["report"] == "a")
    assert first["findings"] == "+ cardiomegaly"
    assert "asserted" in first["why_findings"]
    assert {row["report"] for row in rows if row["status"] == "unread"} == {"c", "d"}
    page = (out / "audit.html").read_text("utf-8")
    assert "<b>&#34;bold" not in page
    assert "&lt;b&gt;" in page
    assert "src=" not in page
    assert "href=" not in page


def test_two_columns_are_findings_and_impression(tmp_path):
    file = tmp_path / "reports.csv"
    file.write_text("f,i\nThe heart is enlarged.,Cardiomegaly.\n", "utf-8")
    options = ["--findings-column", "f", "--impression-column", "i", "--out", tmp_path / "out"]
    assert run("decompose", file, *options).exit_code == 0
    record = json.loads((tmp_path / "out" / "decomposed.jsonl").read_text("utf-8"))
    assert record["anatomies"]["heart"]["in_impression"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--text-column", "repport"], "no column 'repport'; it has scan, report"),
        ([], "name the column"),
        (["--text-column", "report", "--lexicon", "nowhere"], "no such folder"),
        (["--text-column", "report", "--llm-url", "http://127.0.0.1:9"], "--llm-model"),
    ],
)
def test_a_wrong_call_is_one_line(reports, tmp_path, options, told):
    result = run("decompose", reports, *options, "--out", tmp_path / "out")
    assert result.exit_code == 3
    assert told in result.output
    assert "Traceback" not in result.output


def test_a_file_that_is_no_table_is_one_line(tmp_path):
    file = tmp_path / "reports.csv"
    file.write_bytes(b"\xff\xfe\x00binary")
    result = run("decompose", file, "--text-column", "report", "--out", tmp_path / "out")
    assert result.exit_code == 3
    assert "UTF-8" in result.output


def test_dictionary_counts_findings_and_lists_what_has_no_name(tmp_path):
    file = tmp_path / "reports.csv"
    text = "Emphysema is seen. A striped deformity of the liver."
    file.write_text("report\n" + f'"{text}"\n' * 5, "utf-8")
    result = run("dictionary", file, "--text-column", "report", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    table = tomllib.loads((tmp_path / "out" / "dictionary.toml").read_text("utf-8"))
    assert table["lung"]["emphysema"]["frequency"] == 5
    assert "liver,striped deformity,5" in (tmp_path / "out" / "unnamed.csv").read_text("utf-8")

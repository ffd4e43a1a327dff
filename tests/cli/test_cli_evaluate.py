"""``napari-ctclip evaluate`` and ``compare`` as they are typed."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from napari_ctclip.cli import main as cli
from napari_ctclip.evaluation.simulated_cohort import save_study
from napari_ctclip.models import factory
from napari_ctclip.simulation import simulate_study
from napari_ctclip.testing import TinyModel
from tests.evaluation.evaluation_studies import Studies, write_studies
from tests.models.small_open_clip import small_open_clip

runner = CliRunner()
BALLS = (True, False, True, False, True, False)
SPLITS = ("valid", "valid", "test", "test", "test", "test")


@pytest.fixture(autouse=True)
def _tiny_model_and_private_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NAPARI_CTCLIP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(factory, "load_model", lambda name, *, device="cpu": TinyModel())
    for name in ("RANK", "WORLD_SIZE", "SLURM_PROCID", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def studies(tmp_path: Path) -> Studies:
    return write_studies(tmp_path, BALLS, splits=SPLITS)


def _evaluate(studies: Studies, *options: str, out: str = "out"):
    command = [
        "evaluate",
        str(studies.manifest),
        "--task",
        str(studies.task),
        "--replicates",
        "100",
    ]
    return runner.invoke(cli.app, [*command, "--out", str(studies.folder / out), *options])


def test_evaluate_writes_tables_and_a_page_without_scripts(studies: Studies) -> None:
    lesions = studies.table(
        "lesions.csv",
        [
            ("study_id", "label", "file"),
            ("s2", "ball", "ball.nii.gz"),
            ("s4", "ball", "ball.nii.gz"),
        ],
    )
    columns = studies.table(
        "columns.csv", [("study_id", "sex"), *((f"s{i}", "FM"[i // 2 % 2]) for i in range(6))]
    )
    options = ["--lesions", str(lesions), "--columns", str(columns), "--subgroup", "sex"]
    result = _evaluate(studies, *options)
    assert result.exit_code == 0, result.output
    assert "ball" in result.output
    assert "AUROC 1.000" in result.output
    out = studies.folder / "out"
    names = {p.name for p in out.iterdir() if p.is_file()}
    assert names == {
        "scores.csv",
        "metrics.csv",
        "metrics.json",
        "localisation.csv",
        "report.html",
        "summary.md",
    }
    with (out / "metrics.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(r["column"], r["group"], r["label"]) for r in rows[:4]] == [
        ("all", "", "ball"),
        ("all", "", "hole"),
        ("all", "", "macro average"),
        ("sex", "F", "ball"),
    ]
    assert rows[0]["threshold_from"] == "youden on split 'valid'"
    assert rows[1]["auroc"] == ""
    content = json.loads((out / "metrics.json").read_text("utf-8"))
    assert content["provenance"]["model"]["name"] == "tiny"
    assert content["labels"][1]["values"]["auroc"]["value"] is None
    assert str(studies.folder) not in json.dumps(content)
    page = (out / "report.html").read_text("utf-8")
    assert "<script" not in page
    assert page.count("data:image/png;base64,") == 5
    assert "http" not in page.replace("https://", "http://").split("</style>")[1]


def test_a_share_of_the_work_writes_no_tables_until_all_are_there(
    studies: Studies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    result = _evaluate(studies)
    assert result.exit_code == 0, result.output
    assert "process 1 of 2 is done; 3 studies are with others" in result.output
    assert not (studies.folder / "out" / "metrics.csv").exists()
    monkeypatch.setenv("RANK", "1")
    assert "AUROC" in _evaluate(studies).output
    assert (studies.folder / "out" / "metrics.csv").exists()


def test_the_test_set_threshold_is_named_in_every_output(studies: Studies) -> None:
    result = _evaluate(studies, "--threshold-on", "test")
    assert result.exit_code == 0, result.output
    assert "optimistic" in result.stderr
    out = studies.folder / "out"
    for name in ("metrics.csv", "metrics.json", "report.html"):
        assert "TEST-SET threshold" in (out / name).read_text("utf-8"), name


def test_two_runs_are_compared(studies: Studies) -> None:
    assert _evaluate(studies).exit_code == 0
    assert _evaluate(studies, "--masks", "none", out="other").exit_code == 0
    command = ["compare", str(studies.folder / "out"), str(studies.folder / "other")]
    result = runner.invoke(
        cli.app, [*command, "--replicates", "100", "--out", str(studies.folder / "c")]
    )
    assert result.exit_code == 0, result.output
    assert "other less out, macro auroc" in result.output
    assert (studies.folder / "c" / "comparison.html").is_file()


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--split", "train"), 3, "no study of the manifest is in split 'train'"),
        (("--threshold-on", "valdi"), 3, "split 'valdi'; it has test, valid"),
        (("--subgroup", "sex"), 3, "no column sex"),
        (("--lesions", "nowhere.csv"), 3, "nowhere.csv"),
        (("--task", "ct_rate_17"), 3, "no task set 'ct_rate_17'; expected one of: ct_rate_16"),
        (("--threshold-rule", "best"), 2, "youden"),
        (("--masks", "file"), 2, "quick"),
    ],
)
def test_bad_commands_get_one_clear_line(
    studies: Studies, options: tuple[str, ...], code: int, said: str
) -> None:
    result = _evaluate(studies, *options)
    assert result.exit_code == code, result.output
    assert said in result.stderr
    if code == 3:
        assert len(result.stderr.strip().splitlines()) == 1


def test_studies_are_judged_by_a_montage_of_their_patches(studies: Studies, monkeypatch) -> None:
    model = small_open_clip("resnet")
    monkeypatch.setattr(factory, "load_model", lambda name, *, device="cpu": model)
    result = _evaluate(studies, "--read-out", "montage", "--grid", "1x1")
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader((studies.folder / "out" / "scores.csv").open()))
    assert {row["region"] for row in rows} == {"montage of lung"}
    assert {row["study_id"] for row in rows} == {"s2", "s3", "s4", "s5"}
    told = json.loads((studies.folder / "out" / "metrics.json").read_text())
    assert told["provenance"]["montage"]["grid"] == [1, 1]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--read-out", "slices"), 2, "no --read-out"),
        (("--read-out", "montage", "--faithfulness", "1"), 2, "no heatmap"),
        (("--read-out", "whole", "--faithfulness", "1"), 2, "no embedding"),
        (("--read-out", "montage"), 3, "model of volumes"),
    ],
)
def test_montage_that_cannot_be_read_is_refused(
    studies: Studies, options: tuple[str, ...], code: int, message: str
) -> None:
    result = _evaluate(studies, *options)
    assert result.exit_code == code
    assert message in " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize("read_out", ["volume", "whole", "organ"])
def test_simulated_studies_stand_in_for_a_manifest(tmp_path: Path, read_out: str) -> None:
    for seed, findings in ((100_000, ["aortic calcification"]), (100_001, [])):
        study = simulate_study(seed, spacing_mm=(6.0, 6.0, 6.0), findings=findings, degrade=False)
        save_study(study, tmp_path / "out" / "simulated" / f"{seed}.npz")
    command = ["evaluate", "simulated:100000-100001", "--task", "simulated", "--out"]
    options = ["--threshold-on", "none", "--replicates", "100", "--read-out", read_out]
    result = runner.invoke(cli.app, [*command, str(tmp_path / "out"), *options])
    assert result.exit_code == 0, result.output
    summary = (tmp_path / "out" / "summary.md").read_text("utf-8")
    assert "| finding | studies with / without | AUROC | peak in lesion |" in summary
    assert "| aortic calcification | 1 / 1 |" in summary
    rows = list(csv.DictReader((tmp_path / "out" / "scores.csv").open()))
    regions = {row["region"] for row in rows if row["label"] == "aortic calcification"}
    assert regions == {"whole scan" if read_out == "whole" else "aorta"}

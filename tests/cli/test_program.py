"""What both programs share: exit codes, the version, a quick help, the last version's spellings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from napari_ctclip import __version__
from napari_ctclip.cli.main import app as viewer
from napari_ctclip.cli.scan import ScanOptions, takes_scan
from napari_ctclip.cli.train import app as trainer
from napari_ctclip.core.errors import DataError, SeriesChoiceNeeded

PROGRAMS = {"napari-ctclip": viewer, "napari-ctclip-train": trainer}
OLD = json.loads(
    (Path(__file__).parents[1] / "data" / "command_lines_767c0fa.json").read_text("utf-8")
)
HEAVY = {"torch", "numpy", "pydantic", "rich", "napari", "monai", "transformers", "scipy"}


@pytest.mark.parametrize("name", PROGRAMS)
def test_version_is_told(name: str) -> None:
    result = CliRunner().invoke(PROGRAMS[name], ["--version"])
    assert result.exit_code == 0
    assert result.output.strip() == f"napari-ctclip {__version__}"


@pytest.mark.parametrize("module", ["main", "train"])
def test_help_loads_no_heavy_library(module: str) -> None:
    code = (
        f"import sys; from napari_ctclip.cli.{module} import app\n"
        "try:\n    app(['--help'])\n"
        f"except SystemExit:\n    print('HEAVY', sorted({HEAVY!r} & sys.modules.keys()))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Usage:" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "HEAVY []"


def _failing(error: BaseException) -> typer.Typer:
    from napari_ctclip.cli.program import make_program

    app = make_program("failing", help_text="For this test.")

    @app.callback()
    def options() -> None:
        """Take none."""

    @app.command()
    def fail() -> None:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (DataError("a.nii: cut short"), 3, ["error: a.nii: cut short"]),
        (
            SeriesChoiceNeeded("two series", ("first", "second")),
            3,
            ["error: two series", "  --series 1   first", "  --series 2   second"],
        ),
        (
            OSError(28, "No space left on device", "out"),
            3,
            ["error: out: cannot be written (No space left on device)"],
        ),
        (KeyboardInterrupt(), 130, ["stopped"]),
    ],
)
def test_what_is_refused_ends_in_one_code_and_no_traceback(
    error: BaseException, code: int, lines: list[str]
) -> None:
    result = CliRunner().invoke(_failing(error), ["fail"])
    assert result.exit_code == code
    assert result.stderr.splitlines() == lines


def test_a_fault_of_our_own_keeps_its_traceback() -> None:
    result = CliRunner().invoke(_failing(ZeroDivisionError("ours")), ["fail"])
    assert isinstance(result.exception, ZeroDivisionError)


@pytest.mark.parametrize(
    "words",
    [
        ("probe", "ct.nii.gz"),
        ("measure", "ct.nii.gz"),
        ("occlude", "ct.nii.gz", "--prompt", "nodule", "--out", "out"),
    ],
)
@pytest.mark.parametrize("at", ["nan,0,0", "1,2", "here", "inf,1,2"])
def test_a_point_that_is_none_is_refused_alike_everywhere(words: tuple[str, ...], at: str) -> None:
    result = CliRunner().invoke(viewer, [*words, f"--at={at}"])
    assert result.exit_code == 2
    said = " ".join(result.stderr.split())
    assert f"--at '{at}' is not three numbers in mm, e.g. -56,-86,-116" in said


def test_a_command_gets_the_options_of_a_scan_that_it_does_not_leave_out() -> None:
    seen: list[tuple[ScanOptions, int]] = []
    app = typer.Typer()

    @app.command()
    @takes_scan(without=("masks", "legend"))
    def look(scan: ScanOptions, depth: int = 1, model: str = "own") -> None:
        """Look."""
        seen.append((scan, depth))

    run = CliRunner().invoke
    assert run(app, ["a.nii", "--depth", "2", "--series", "3", "--model", "x"]).exit_code == 0
    assert seen == [(ScanOptions(Path("a.nii"), series="3"), 2)]
    for option in ("--masks", "--legend"):
        assert run(app, ["a.nii", option, "x"]).exit_code == 2


OLD_COMMANDS = [(program, command) for program, commands in OLD.items() for command in commands]


@pytest.mark.parametrize(("program", "command"), OLD_COMMANDS)
def test_spellings_of_the_last_version_are_understood(program: str, command: str) -> None:
    words = command.split()
    for option, has_value in OLD[program][command].items():
        words += [option, "1"] if has_value else [option]
    result = CliRunner().invoke(PROGRAMS[program], [*words, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage:" in result.stdout


def test_a_renamed_word_is_remarked() -> None:
    result = CliRunner().invoke(viewer, ["erase", "--help"])
    assert result.stderr.strip() == "note: erase is now called occlude; the old name will go"
    assert "occlude" in result.stdout
    result = CliRunner().invoke(viewer, ["measure", "--cut=0.2", "--help"])
    assert result.stderr.strip() == "note: --cut is now called --threshold; the old name will go"

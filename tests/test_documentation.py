"""What the documentation tells people to type is what the commands take."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
import typer.main

from napari_ctclip.cli import main as cli
from napari_ctclip.cli import train as cli_train
from tests.paths import ROOT

COMMANDS = {
    "napari-ctclip": typer.main.get_command(cli.app),
    "napari-ctclip-train": typer.main.get_command(cli_train.app),
}
UsageError = typer.BadParameter.__bases__[0]  # click's own, or that which typer brings
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("training/**/*.md")])
_BLOCK = re.compile(r"^```(?:\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^(?:.*\s)?(napari-ctclip(?:-train)?|-m napari_ctclip\.cli\.train)\s(.*)$")


def _commands(page: Path) -> Iterator[list[str]]:
    for block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            found = _COMMAND.match(line.split("  #")[0])
            if found and not line.lstrip().startswith(("#", "pip")):
                name = found[1].replace("-m napari_ctclip.cli.train", "napari-ctclip-train")
                yield [name, *shlex.split(_without_choices(found[2]))]


def _without_choices(line: str) -> str:
    """Return a usage line without its brackets: what is optional is typed too."""
    return line.replace("[", "").replace("]", "").replace("...", "")


def _check(words: list[str]) -> None:
    """Raise UsageError where an option, or the number of arguments, is wrong."""
    command, rest = COMMANDS[words[0]], words[1:]
    context = command.context_class(command, info_name=words[0])
    while hasattr(command, "commands"):
        if rest[0].startswith("--"):
            command.make_parser(context).parse_args(rest)
            return
        for name in rest[0].split("|"):  # "list | info | download": each must be one
            assert command.get_command(context, name), f"{words[0]} has no command {name!r}"
        command, rest = command.get_command(context, rest[0].split("|")[0]), rest[1:]
        context = command.context_class(command, parent=context)
    command.make_parser(context).parse_args(list(rest))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_a_page_parse(page: Path) -> None:
    for words in _commands(page):
        try:
            _check(words)
        except UsageError as error:
            pytest.fail(f"{page.name}: {shlex.join(words)}: {error.format_message()}")


def test_a_wrong_option_would_be_found() -> None:
    with pytest.raises(UsageError):
        _check(["napari-ctclip", "score", "CT", "--promt", "x"])


def test_pages_hold_commands() -> None:
    assert sum(1 for page in PAGES for _ in _commands(page)) > 40


def test_every_page_is_listed_and_every_link_leads_somewhere(tmp_path: Path) -> None:
    scripts = str(Path(sys.executable).parent)  # mkdocs-typer2 calls typer by its name
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    assert "napari-ctclip score" in (tmp_path / "reference" / "cli.html").read_text("utf-8")

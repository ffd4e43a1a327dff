"""Rules of the repository that no tool keeps, and that the tools of `make check` keep theirs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.paths import ROOT

SOURCE = ROOT / "src" / "napari_ctclip"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")
TEXTS = (".py", ".md", ".toml", ".yml", ".yaml", ".j2", ".sh", ".cff")
PLANS = re.compile(r"\b(?:DESI" r"GN|HO" r"USE)(?:\.md)?\b")  # so written, this file is no match


def test_no_file_names_the_plans_of_the_past() -> None:
    folders = ("src", "tests", "docs", "training", "benchmarks", "scripts")
    files = [path for name in folders for path in (ROOT / name).rglob("*")]
    files += [*ROOT.glob("*.*"), ROOT / "Makefile", ROOT / ".ci" / "run"]
    read = [path for path in files if path.suffix in TEXTS or path.name in ("Makefile", "run")]
    assert len(read) > 500
    exempt = SOURCE / "core" / "__init__.py"
    named = [path for path in read if path != exempt and PLANS.search(path.read_text("utf-8"))]
    assert named == []


# --- layers -----------------------------------------------------------------------------------


def _layers() -> list[str]:
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    lines = next(contract for contract in contracts if contract["id"] == "layers")["layers"]
    return [name.strip() for line in lines for name in line.split("|")]


def _lint_a_package(folder: Path, **modules: str) -> subprocess.CompletedProcess[str]:
    """Run the contract of the layers on empty packages of their names, and on further modules."""
    package = folder / "napari_ctclip"
    for name in _layers():
        (package / name).mkdir(parents=True)
        (package / name / "__init__.py").touch()
    (package / "__init__.py").touch()
    for name, text in modules.items():
        (package / f"{name}.py").write_text(text, encoding="utf-8")
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    options = ["--config", str(ROOT / "pyproject.toml"), "--contract", "layers", "--no-cache"]
    return subprocess.run(
        [sys.executable, "-c", program, *options],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": "", "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_layers_are_the_packages_that_there_are() -> None:
    there = {path.stem for path in SOURCE.iterdir() if path.is_dir() or path.suffix == ".py"}
    assert set(_layers()) == there - {"__init__", "__pycache__"}


def test_stray_module_at_the_top_fails(tmp_path: Path) -> None:
    clean = _lint_a_package(tmp_path / "clean")
    assert clean.returncode == 0, clean.stdout + clean.stderr
    stray = _lint_a_package(tmp_path / "stray", utils="import napari\n")
    assert stray.returncode != 0
    assert "utils" in stray.stdout


# --- warnings ---------------------------------------------------------------------------------


def _warn_from(module: str) -> None:
    warnings.warn_explicit("it goes", DeprecationWarning, "file.py", 1, module=module)


def test_deprecated_use_by_our_own_code_is_an_error() -> None:
    for module in ("napari_ctclip", "napari_ctclip.io.ct.read"):
        with pytest.raises(DeprecationWarning):
            _warn_from(module)
    _warn_from("napari.layers")  # another's: not ours to mend


# --- the lock file ----------------------------------------------------------------------------


def test_lock_holds_names_versions_and_hashes_and_no_address() -> None:
    blocks = re.split(r"\n(?=\S)", LOCK.strip())
    assert len(blocks) > 100
    for block in blocks:
        assert re.match(r"[\w.\-\[\]]+==[\w.+!]+( ; .+)? \\\n", block), block.splitlines()[0]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block.splitlines()[0]
    assert "://" not in LOCK


def test_lock_satisfies_what_the_project_asks_for() -> None:
    locked = dict(re.findall(r"^([\w.\-]+)==([^\s;]+)", LOCK, re.MULTILINE))
    optional = PROJECT["project"]["optional-dependencies"]
    wanted = [*PROJECT["project"]["dependencies"], *optional["dev"]]
    wanted += [line for extra in ("viewer", "bert", "colipri", "train") for line in optional[extra]]
    for requirement in map(Requirement, wanted):
        if requirement.name != "napari-ctclip":
            version = locked[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version), f"{requirement}, locked: {version}"


# --- files ------------------------------------------------------------------------------------

ALONE = {
    "plugin.faithfulness.faithfulness_cost",
    "plugin.session.saved_view",
    "plugin.shell.demo",  # what `make demo` does
    "plugin.shell.display",
}
"""Small files of one importer that stand alone all the same. The list may only become shorter."""


def _importers() -> dict[str, set[str]]:
    """Return who imports each module of the package, by an import anywhere in a file."""
    names = {_module(path): path for path in SOURCE.rglob("*.py")}
    found: dict[str, set[str]] = {name: set() for name in names}
    for name, path in names.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    found.get(inner if inner in names else node.module, set()).add(name)
    return found


def _module(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_no_file_is_longer_than_400_lines() -> None:
    long = {str(path): _lines(path) for path in SOURCE.rglob("*.py") if _lines(path) > 400}
    assert long == {}


def test_small_file_has_two_importers_or_is_an_entry_point() -> None:
    importers = _importers()
    manifest = (SOURCE / "napari.yaml").read_text(encoding="utf-8")
    entry = {*re.findall(r"python_name: ([\w.]+):", manifest)}
    entry |= {name for name in importers if name.startswith("napari_ctclip.cli.")}  # a command each
    small = {
        _module(path)
        for path in SOURCE.rglob("*.py")
        if path.name != "__init__.py" and _lines(path) < 100
    }
    lonely = {name for name in small - entry if len(importers[name]) < 2}
    new = {name.removeprefix("napari_ctclip.") for name in lonely} - ALONE
    assert new == set(), "merge it into its importer, or with others of the same idea"

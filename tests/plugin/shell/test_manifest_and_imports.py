from __future__ import annotations

import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import npe2
import pytest

import napari_ctclip
from napari_ctclip import plugin
from napari_ctclip.plugin.shell.keys import KEYS
from tests.paths import ROOT

MODULES = sorted(m.name for m in pkgutil.walk_packages(plugin.__path__, "napari_ctclip.plugin."))
MANIFEST = Path(napari_ctclip.__file__).parent / "napari.yaml"


def test_manifest_is_valid_and_every_command_exists() -> None:
    manifest = npe2.PluginManifest.from_file(MANIFEST)
    for command in manifest.contributions.commands or ():
        module, name = str(command.python_name).split(":")
        assert callable(getattr(import_module(module), name))


@pytest.mark.gui
def test_neither_plugin_nor_panel_nor_scan_loads_a_model_library() -> None:
    code = (
        "import importlib, sys\n"
        f"for name in {MODULES!r}:\n"
        "    importlib.import_module(name)\n"
        "heavy = {'torch', 'monai', 'open_clip', 'transformers'}\n"
        "assert not heavy & set(sys.modules), 'import'\n"
        "from qtpy.QtWidgets import QApplication\n"
        "from napari_ctclip.plugin.shell.launch import open_window\n"
        "from tests.phantom import ball_study\n"
        "viewer, widget = open_window(ball_study(), show=False)\n"
        "for _ in range(50): QApplication.processEvents()\n"
        "viewer.close()\n"
        "assert not heavy & set(sys.modules), 'panel'\n"
    )
    root = ROOT
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.gui
def test_keys_collide_with_none_of_napari(make_napari_viewer: object) -> None:
    from napari.utils.shortcuts import default_shortcuts

    taken = {str(key) for keys in default_shortcuts.values() for key in keys}
    assert not taken & {key.replace("Control", "Ctrl").replace("-", "+") for key in KEYS}


def test_tests_leave_the_settings_of_this_account_alone() -> None:
    from napari import settings

    assert settings._CFG_PATH == ""

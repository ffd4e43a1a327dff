"""Loading the bundled model brings PyTorch and its own parts, and no library of another model."""

from __future__ import annotations

import subprocess
import sys

from napari_ctclip.models.factory import IMPORTERS, LOADERS, _resolved

_NOT_NEEDED = (
    *("monai", "transformers", "open_clip", "timm", "torchvision", "huggingface_hub"),
    *("matplotlib", "sklearn", "scipy", "pandas", "nibabel", "SimpleITK", "pydicom"),
    *("torch._dynamo", "sympy", "napari", "qtpy"),
)
_LOAD = """
import sys
from napari_ctclip.models.factory import load_model
load_model("starter")
print(*sys.modules)
"""


def test_starter_loads_no_library_of_another_model() -> None:
    loaded = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _LOAD], check=True, capture_output=True, text=True
    )
    assert set(_NOT_NEEDED).isdisjoint(loaded.stdout.split())
    assert "torch" in loaded.stdout.split()


def test_every_loader_and_importer_is_there() -> None:
    assert all(callable(_resolved(name)) for name in {*LOADERS.values(), *IMPORTERS.values()})

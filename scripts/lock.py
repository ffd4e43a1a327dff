"""Write requirements-dev.lock: names, versions and hashes of the developers' environment.

The versions are those that are installed; uv adds what other platforms need, and the hashes. It
holds no address. To use it: ``pip install --require-hashes -r requirements-dev.lock``, then
``pip install --no-deps --editable .``
"""

from __future__ import annotations

import platform
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements-dev.lock"


def main() -> None:
    """Write the lock file, whole or not at all."""
    freeze = [sys.executable, "-m", "pip", "freeze", "--exclude-editable"]
    installed = subprocess.run(freeze, check=True, capture_output=True, text=True).stdout
    with tempfile.TemporaryDirectory() as folder:
        constraints, made = Path(folder) / "installed.txt", Path(folder) / "made.lock"
        constraints.write_text(installed, encoding="utf-8")
        options = ["--quiet", "--extra", "dev", "--universal", "--generate-hashes"]
        options += ["--no-annotate", "--no-header", "--no-emit-index-url", "--no-emit-find-links"]
        options += ["--python-version", platform.python_version()]
        options += ["--constraint", str(constraints), "--output-file", str(made)]
        subprocess.run(
            [Path(sys.executable).parent / "uv", "pip", "compile", "pyproject.toml", *options],
            check=True,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )
        LOCK.write_bytes(made.read_bytes())


if __name__ == "__main__":
    main()

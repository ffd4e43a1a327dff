"""Cold start: CPU seconds of a new process: its help, the bundled model, and the first heatmap."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from napari_ctclip.simulation import simulate_study
from napari_ctclip.simulation.dicom import write_dicom_series

_ASK = """
import sys, time
start = time.perf_counter()
from pathlib import Path
from napari_ctclip.core.study import Study
from napari_ctclip.io import read_volume
from napari_ctclip.session.session import Session
session = Session(device="cpu")
session.set_study(Study(read_volume(Path(sys.argv[1])).volume))
session.load_model("starter")
session.set_encoding(session.compute_encoding())
session.ask("lung nodule")
"""

_LOAD = """
from napari_ctclip.models.factory import load_model
load_model("starter")
"""


def run() -> dict[str, str]:
    """Return the benchmark's lines."""
    with tempfile.TemporaryDirectory() as folder:
        scan = Path(folder) / "scan"
        study = simulate_study(100_501, spacing_mm=(2.5, 1.0, 1.0)).study
        write_dicom_series(study, scan)
        environment = os.environ | {"NAPARI_CTCLIP_CACHE": str(Path(folder) / "cache")}
        command = [sys.executable, "-c", _ASK, str(scan)]
        seconds = []
        for _ in range(2):  # the second time the encoding comes from the cache
            start = time.perf_counter()
            subprocess.run(command, check=True, env=environment)
            seconds.append(time.perf_counter() - start)
    help_of = [sys.executable, "-m", "napari_ctclip.cli.main", "--help"]
    shape = " x ".join(str(n) for n in study.volume.geometry.shape)
    return {
        "CPU time of napari-ctclip --help (aim: 0.5 s)": f"{_cpu_seconds(help_of):.2f} s",
        "CPU time of loading starter in a new process (aim: 2 s)": (
            f"{_cpu_seconds([sys.executable, '-c', _LOAD]):.2f} s"
        ),
        "  of which importing PyTorch": (
            f"{_cpu_seconds([sys.executable, '-c', 'import torch']):.2f} s"
        ),
        f"first heatmap from a cold start ({shape})": f"{seconds[0]:.1f} s",
        "  the same scan again, encoding from the cache": f"{seconds[1]:.1f} s",
    }


def _cpu_seconds(command: list[str]) -> float:
    """Return the CPU seconds of a command, the least of three runs."""
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(spent)

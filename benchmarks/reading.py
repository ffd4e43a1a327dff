"""Reading a 512 x 512 x 400 ``.nii.gz``: seconds and peak memory, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np

from benchmarks.scan import large_study

_READ = """
import re, sys, time
from pathlib import Path
from napari_ctclip.io import read_volume
import nibabel, isal.igzip
def peak_bytes():
    # not getrusage: its peak is handed down from the process that started this one
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
before = peak_bytes()
start = time.perf_counter()
volume = read_volume(sys.argv[1]).volume
seconds = time.perf_counter() - start
print(seconds, (peak_bytes() - before) / volume.voxels.nbytes)
"""


def run() -> dict[str, str]:
    """Return the benchmark's lines."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.nii.gz"
        volume = large_study().volume
        image = nib.Nifti1Image(np.ascontiguousarray(volume.voxels.T), np.eye(4))
        image.set_sform(volume.geometry.affine[:, [2, 1, 0, 3]], code=1)
        nib.save(image, path)
        done = subprocess.run(
            [sys.executable, "-c", _READ, str(path)], capture_output=True, text=True, check=True
        )
        megabytes = path.stat().st_size / 1e6
    seconds, ratio = (float(word) for word in done.stdout.split())
    return {
        f"read .nii.gz ({megabytes:.0f} MB)": f"{seconds:.2f} s",
        "  peak memory / voxel bytes (aim <= 3)": f"{ratio:.2f}",
    }

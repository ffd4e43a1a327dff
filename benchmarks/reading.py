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
import resource, sys, time
from napari_ctclip.io import read_volume
import nibabel, isal.igzip
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
volume = read_volume(sys.argv[1]).volume
seconds = time.perf_counter() - start
peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
print(seconds, peak / volume.voxels.nbytes)
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

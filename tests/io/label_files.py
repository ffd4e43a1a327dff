"""A scan and a label map of two boxes, as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.volume import Volume
from napari_ctclip.io import read_volume
from tests.io.scan_files import SHAPE, torso, write_nifti


def scan(tmp_path: Path) -> Volume:
    return read_volume(write_nifti(tmp_path / "ct.nii", torso())).volume


def blocks() -> npt.NDArray[np.uint8]:
    """Return labels 1 and 2 (i, j, k): two boxes."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[4:8, 8:20, 4:20] = 1
    labels[12:16, 8:20, 4:20] = 2
    return labels

"""StoredScan: what a format reader hands over before anything is checked or turned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.notice import Notice
from napari_ctclip.core.volume import Window

__all__ = ["StoredScan"]


@dataclass(frozen=True, eq=False)
class StoredScan:
    """A scan in the axis order of its file.

    Attributes
    ----------
    voxels : ndarray, 3D, int16
        Numbers after the file's own rescale, meant to be HU; writable and owned by this object.
    geometry : Geometry
        The grid of ``voxels``.
    windows : mapping of str to Window
        Windows the file proposes.
    metadata : mapping
        Modality, kernel and the like; no patient data.
    notices : tuple of Notice
        What was odd so far.
    """

    voxels: npt.NDArray[np.int16]
    geometry: Geometry
    windows: Mapping[str, Window] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()

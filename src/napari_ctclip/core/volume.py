"""Volume: one CT series in Hounsfield units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import DataError, GeometryMismatch
from napari_ctclip.core.geometry import INTERNAL_AXES, Geometry

__all__ = ["WINDOWS", "Volume", "Window"]


@dataclass(frozen=True)
class Window:
    """A display or model window on CT numbers.

    Attributes
    ----------
    level : float
        Middle, HU.
    width : float
        Full width, HU; positive.
    """

    level: float
    width: float

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest HU shown."""
        return self.level - self.width / 2, self.level + self.width / 2


WINDOWS: Mapping[str, Window] = {
    "Lung": Window(-600, 1500),
    "Mediastinum": Window(40, 400),
    "Bone": Window(480, 2500),
    "Liver": Window(90, 150),
    "Abdomen": Window(40, 350),
    "Angio": Window(200, 600),
    "Brain": Window(40, 80),
}
"""Window presets by name (level, width in HU), as radiology viewers ship them."""


@dataclass(frozen=True, eq=False)
class Volume:
    """One CT series.

    Attributes
    ----------
    voxels : ndarray, shape (D, H, W), int16
        CT numbers in HU, axes pointing Inferior, Posterior, Left.
    geometry : Geometry
        The same grid in the patient.
    source_geometry : Geometry
        The grid as the file stores it, in the file's own axis order: exports go back there.
    source_path : str
        File or folder it was read from; empty for arrays made in memory.
    windows : mapping of str to Window
        Windows the file itself proposes, by their explanation.
    metadata : mapping
        What else the reader found (modality, kernel, series description); no patient data.
    """

    voxels: npt.NDArray[np.int16]
    geometry: Geometry
    source_geometry: Geometry | None = None
    source_path: str = ""
    windows: Mapping[str, Window] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.voxels.dtype != np.int16:
            raise DataError(f"expected voxels as int16 HU, got {self.voxels.dtype}")
        if self.voxels.shape != self.geometry.shape:
            raise GeometryMismatch(
                f"expected voxels of shape {self.geometry.shape}, got {self.voxels.shape}"
            )
        if self.geometry.axis_codes != INTERNAL_AXES:
            raise GeometryMismatch(
                f"expected axes {INTERNAL_AXES}, got {self.geometry.axis_codes}; "
                "use Volume.from_stored to bring an array there"
            )
        if self.source_geometry is None:
            object.__setattr__(self, "source_geometry", self.geometry)

    @classmethod
    def from_stored(
        cls,
        voxels: npt.NDArray[np.int16],
        geometry: Geometry,
        *,
        source_path: str = "",
        windows: Mapping[str, Window] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Volume:
        """Return the volume for voxels in any stored axis order: flips and permutations only."""
        transform = geometry.transform_to(INTERNAL_AXES)
        return cls(
            np.ascontiguousarray(transform.apply(voxels)),
            geometry.reoriented(transform),
            source_geometry=geometry,
            source_path=source_path,
            windows=windows or {},
            metadata=metadata or {},
        )

    @property
    def stored_geometry(self) -> Geometry:
        """The grid as the file stores it (the internal one for arrays made in memory)."""
        return self.geometry if self.source_geometry is None else self.source_geometry

    def content_hash(self) -> str:
        """Return the SHA-256 (hex) of voxels and affine: the same scan in any file is one key."""
        digest = sha256(repr(self.geometry.shape).encode())
        digest.update(np.round(self.geometry.affine, 4).astype("<f8").tobytes())
        digest.update(np.ascontiguousarray(self.voxels).data)
        return digest.hexdigest()

"""Foreign layers: a volume that another reader loaded, as a Volume of ours."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.core.volume import Volume
from napari_ctclip.plugin.canvas.layers import own_metadata

__all__ = ["is_volume_layer", "volume_of_layer"]

_TO_RAS = np.array([[0.0, 0.0, -1.0], [0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]])
"""napari world (Inferior, Posterior, Left as the default camera shows it) to RAS."""


def is_volume_layer(layer: Any) -> bool:
    """Return whether a layer could be a CT: a 3D image of ours or of another reader."""
    if layer is None or type(layer).__name__ != "Image" or layer.ndim != 3:
        return False
    role = own_metadata(layer).get("role", "ct")
    return role == "ct" and not layer.rgb and not layer.multiscale


def volume_of_layer(layer: Any) -> tuple[Volume, tuple[Notice, ...]]:
    """Return the scan a layer shows, and what is uncertain about it.

    A layer without our metadata is taken as it is seen: down the array is Inferior, Posterior,
    Left in napari's default view, at the layer's own scale.

    Raises
    ------
    DataError
        If it is not one 3D image, or its numbers cannot be CT numbers.
    """
    own = own_metadata(layer)
    if isinstance(own.get("volume"), Volume):
        return own["volume"], tuple(own.get("notices", ()))
    if not is_volume_layer(layer):
        raise DataError(f"layer “{layer.name}” is not one 3D image; choose a CT")
    from napari_ctclip.io.ct.hounsfield import check_hounsfield

    voxels = np.asarray(layer.data)
    if not np.issubdtype(voxels.dtype, np.number):
        raise DataError(f"layer “{layer.name}” holds {voxels.dtype}, expected CT numbers")
    voxels = np.clip(np.rint(voxels), -32768, 32767).astype(np.int16)
    notices = check_hounsfield(voxels, layer.name, accept_suspicious=True)
    affine = np.eye(4)
    placed = layer._data_to_world.affine_matrix
    affine[:3, :3] = _TO_RAS @ placed[:3, :3]
    affine[:3, 3] = _TO_RAS @ placed[:3, 3]
    remark = Notice(
        Severity.WARNING,
        "foreign-layer",
        "This volume was loaded by another reader: patient left and right, and millimetres, are "
        "taken from how napari shows it. Open the file here to be sure.",
    )
    volume = Volume.from_stored(voxels, Geometry(voxels.shape, affine))
    return volume, (*notices, remark)

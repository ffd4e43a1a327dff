"""Sample data: simulated scans, made on the spot; no download."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from napari_ctclip.core.volume import Volume
from napari_ctclip.plugin.canvas.layers import LayerData, ct_layer

__all__ = [
    "SAMPLE_FINDINGS",
    "simulated_chest",
    "simulated_chest_volume",
    "simulated_dicom",
]

SAMPLE_FINDINGS = ("lung nodule", "pleural effusion")
_SEED = 9
_SPACING_MM = (2.0, 1.2, 1.2)
_DICOM_SPACING_MM = (3.0, 1.5, 1.5)


def simulated_chest_volume(
    *, seed: int = _SEED, spacing_mm: tuple[float, float, float] = _SPACING_MM
) -> Volume:
    """Return a simulated chest CT that holds ``SAMPLE_FINDINGS``."""
    from napari_ctclip.simulation.study_simulation import simulate_study

    made = simulate_study(seed, spacing_mm=spacing_mm, findings=SAMPLE_FINDINGS)
    return made.study.volume


def simulated_chest() -> list[LayerData]:
    """Return the image layer of a simulated chest CT."""
    more: dict[str, Any] = {"simulated": True}
    return [ct_layer(simulated_chest_volume(), more=more)]


def simulated_dicom() -> list[LayerData]:
    """Return a simulated chest CT that was written as a DICOM series and read like any other."""
    from napari_ctclip.io import read_volume
    from napari_ctclip.simulation.dicom import write_dicom_series
    from napari_ctclip.simulation.study_simulation import simulate_study

    folder = Path(_temporary_folder().name) / "series"
    if not folder.is_dir():
        made = simulate_study(_SEED, spacing_mm=_DICOM_SPACING_MM, findings=SAMPLE_FINDINGS)
        write_dicom_series(made.study, folder)
    read = read_volume(folder)
    more: dict[str, Any] = {"simulated": True, "notices": read.notices}
    return [ct_layer(read.volume, more=more)]


@cache
def _temporary_folder() -> TemporaryDirectory[str]:
    """Return the folder of written samples; it goes when the program ends."""
    return TemporaryDirectory(prefix="napari-ctclip-")

"""Sample data: a simulated chest CT, made on the spot; no download."""

from __future__ import annotations

from typing import Any

from napari_ctclip.core.volume import Volume
from napari_ctclip.plugin.layers import LayerData, ct_layer

__all__ = ["SAMPLE_FINDINGS", "simulated_chest", "simulated_chest_volume"]

SAMPLE_FINDINGS = ("lung nodule", "pleural effusion")
_SEED = 9
_SPACING_MM = (2.0, 1.2, 1.2)


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

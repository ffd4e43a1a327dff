"""How a model wants organs cropped before it is asked about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from napari_ctclip.models.interface import VisionLanguageModel

__all__ = ["AnatomyModel", "CropProtocol"]


@dataclass(frozen=True)
class CropProtocol:
    """Organ-centred crops; lengths in voxels (z, y, x) of the prepared image.

    Attributes
    ----------
    shape : tuple of int
        Of a crop, where the scan is that large; larger for a larger organ.
    smallest : tuple of int
        A crop of a smaller scan is padded at its end to this.
    margin : tuple of int
        Kept around the box of all organs; what lies further out is never shown to the model.
    border : int
        An organ this near to a face of the crop, or nearer, counts as cut by it.
    least_inside : float
        Share of an organ's voxels that a crop made for another organ must hold.

    References
    ----------
    Shui et al. 2025 (arXiv 2501.14548), implementation details; numbers of the CT-RATE release.
    """

    shape: tuple[int, int, int] = (112, 288, 352)
    smallest: tuple[int, int, int] = (112, 256, 352)
    margin: tuple[int, int, int] = (5, 20, 20)
    border: int = 2
    least_inside: float = 0.9


class AnatomyModel(VisionLanguageModel, Protocol):
    """A model with ``region_readout == "regions"``: it embeds whole anatomies.

    Attributes
    ----------
    anatomies : tuple of str
        In the order of the masks that ``embed_regions`` takes.
    crop_protocol : CropProtocol
        How organs are cropped for it.
    """

    @property
    def anatomies(self) -> tuple[str, ...]: ...
    @property
    def crop_protocol(self) -> CropProtocol: ...

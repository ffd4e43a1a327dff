"""How a model wants organs cropped before it is asked about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from napari_ctclip.models.interface import EncodingWindows, VisionLanguageModel

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

    @classmethod
    def of_training(cls, crop: Sequence[int], margin: Sequence[int]) -> CropProtocol:
        """Return how to ask a model about crops like those it was trained on.

        How much of an organ a crop must hold stays as CT-RATE's release has it.
        """
        z, y, x = crop
        mz, my, mx = margin
        return cls(shape=(z, y, x), smallest=(z, y, x), margin=(mz, my, mx))

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> CropProtocol:
        """Return the protocol of a TOML table, as :meth:`to_dict` gives it.

        Raises
        ------
        ValueError
            If a key is unknown, or no three voxel counts, or a number is negative.
        """
        unknown = sorted(set(table) - set(cls.__dataclass_fields__))
        if unknown:
            raise ValueError(f"unknown crop keys {', '.join(unknown)}")
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, Sequence) else value
            for key, value in table.items()
        }
        protocol = cls(**values)
        for name in ("shape", "smallest", "margin"):
            numbers, least = getattr(protocol, name), 0 if name == "margin" else 1
            if len(numbers) != 3 or any(not isinstance(n, int) or n < least for n in numbers):
                raise ValueError(
                    f"crop.{name}: expected three whole numbers of voxels (z, y, x), {least} or "
                    f"more, got {numbers}"
                )
        return protocol

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as a model's folder holds them."""
        return asdict(self)

    def windows(self, patch_size: Sequence[int]) -> EncodingWindows:
        """Return how a whole scan is cut up: crops in whole patches that share a third (ours)."""
        z, y, x = (-(-n // p) * p for n, p in zip(self.shape, patch_size, strict=True))
        dz, dy, dx = (n // 3 // p * p for n, p in zip((z, y, x), patch_size, strict=True))
        return EncodingWindows(shape=(z, y, x), overlap=(dz, dy, dx))


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

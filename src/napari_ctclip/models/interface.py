"""The contract every model keeps: encode an image once, embed regions and texts often.

Shape letters: B batch, R regions, T texts, E embedding, C channels, D H W voxels, d h w tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.preprocessing.specification import Preprocessing

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "AnatomyModel",
    "Calibration",
    "CropProtocol",
    "EncodingWindows",
    "FeatureMap",
    "RegionEmbeddings",
    "VisionLanguageModel",
    "assert_implements",
]


@dataclass(frozen=True)
class FeatureMap:
    """What the image encoder gives, before any read-out.

    Attributes
    ----------
    levels : tuple of Tensor, each (B, C, d, h, w)
        Coarse or deep last; a model with one level has a tuple of one.
    """

    levels: tuple[Tensor, ...]


@dataclass(frozen=True)
class RegionEmbeddings:
    """One vector a region.

    Attributes
    ----------
    vectors : Tensor (B, R, E)
        Unit norm where present, zero where absent.
    present : Tensor (B, R) bool
        Whether any token lies in the region.
    """

    vectors: Tensor
    present: Tensor


@dataclass(frozen=True)
class Calibration:
    """From the score of a region to a probability: ``sigmoid(slope * score + intercept)``.

    Attributes
    ----------
    slope, intercept : float
        Platt's two numbers, fitted on data held out from training.
    source : str
        What they were fitted on, in words the user reads.
    """

    slope: float
    intercept: float
    source: str


@dataclass(frozen=True)
class EncodingWindows:
    """How a large image is cut up to be encoded.

    Attributes
    ----------
    shape : tuple of int
        Voxels (z, y, x) of the prepared image at once; a longer axis is cut, a shorter one is not.
    overlap : tuple of int
        Voxels shared by neighbouring windows; each token is kept from the window where it lies
        deeper inside. 0: windows abut and the last may be shorter.
    """

    shape: tuple[int, int, int]
    overlap: tuple[int, int, int]


@dataclass(frozen=True)
class CropProtocol:
    """Organ-centred crops; lengths in voxels (z, y, x) of the prepared image.

    Attributes
    ----------
    shape : tuple of int
        The shape of a crop, where the scan is that large; larger for a larger organ.
    smallest : tuple of int
        A crop of a smaller scan is padded at its end to this.
    margin : tuple of int
        The margin around the box of all organs; what lies further out is never shown to the model.
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


class VisionLanguageModel(Protocol):
    """A CT vision-language model.

    Attributes
    ----------
    name : str
        What the user calls it.
    preprocessing : Preprocessing
        Orientation, spacing, HU windows; travels with the weights.
    patch_size : tuple of int
        Voxels (z, y, x) of the prepared image behind one token.
    logit_scale : Tensor ()
        Logarithm of the factor on a cosine.
    region_readout : {"dense", "regions"}
        Whether a region is scored by its highest tokens or by its pooled embedding.
    encoding_windows : EncodingWindows
        How a whole scan is cut for ``encode_image``.
    background_prompts : tuple of str
        Sentences for normal anatomy that every prompt is also contrasted with.
    suggested_prompts : tuple of str
        Findings the model was trained to know, in plain words: presets and the probe's ranking.
    calibration : Calibration or None
        From region scores to probabilities, where it was fitted.
    """

    @property
    def name(self) -> str: ...
    @property
    def preprocessing(self) -> Preprocessing: ...
    @property
    def patch_size(self) -> tuple[int, int, int]: ...
    @property
    def region_readout(self) -> Literal["dense", "regions"]: ...
    @property
    def encoding_windows(self) -> EncodingWindows: ...
    @property
    def background_prompts(self) -> tuple[str, ...]: ...
    @property
    def suggested_prompts(self) -> tuple[str, ...]: ...
    @property
    def calibration(self) -> Calibration | None: ...
    @property
    def logit_scale(self) -> Tensor: ...

    def weights_hash(self) -> str:
        """Return a hash (hex) of weights and architecture: part of every cache key."""
        ...

    def encode_image(self, image: Tensor) -> FeatureMap:
        """Return features of prepared images (B, C, D, H, W): expensive, once per image."""
        ...

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Return (T, E), unit norm."""
        ...

    def embed_global(self, features: FeatureMap) -> Tensor:
        """Return (B, E), unit norm."""
        ...

    def embed_regions(self, features: FeatureMap, masks: Tensor) -> RegionEmbeddings:
        """Return one vector for each of the masks (B, R, D, H, W) bool, on the voxel grid."""
        ...

    def embed_dense(self, features: FeatureMap, anatomy: str | None = None) -> Tensor:
        """Return (B, E, d, h, w), unit norm along E, text-comparable."""
        ...


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


_MEMBERS = (
    "name",
    "preprocessing",
    "patch_size",
    "region_readout",
    "encoding_windows",
    "background_prompts",
    "suggested_prompts",
    "calibration",
    "logit_scale",
    "weights_hash",
    "encode_image",
    "embed_text",
    "embed_global",
    "embed_regions",
    "embed_dense",
)


def assert_implements(model: object) -> None:
    """Pass a model that keeps the contract.

    Raises
    ------
    CtClipError
        Naming every missing member.
    """
    missing = [member for member in _MEMBERS if not hasattr(model, member)]
    if missing:
        raise CtClipError(
            f"{type(model).__name__} is not a VisionLanguageModel: it lacks {', '.join(missing)}"
        )

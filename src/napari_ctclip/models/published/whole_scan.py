"""WholeScanModel: published models that take a scan as one image of one shape."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from napari_ctclip.core.errors import CtClipError, DataError
from napari_ctclip.models.interface import Calibration, EncodingWindows
from napari_ctclip.models.runtime.weights_hash import HashedWeights
from napari_ctclip.models.text.text_cache import CachesTexts
from napari_ctclip.preprocessing.specification import Preprocessing

__all__ = ["WholeScanModel"]


class WholeScanModel(HashedWeights, CachesTexts):
    """The part of a model that sees all of a prepared scan at once.

    Such a model has a dense map, and neither sentences for normal anatomy nor a calibration.

    Parameters
    ----------
    name : str
        What the user calls it.
    preprocessing : Preprocessing
        The preprocessing of the voxels that the image encoder was made for; it names the one shape.

    Raises
    ------
    DataError
        If the preprocessing names no shape.
    """

    region_readout: Literal["dense", "regions"] = "dense"
    background_prompts: tuple[str, ...] = ()
    suggested_prompts: tuple[str, ...] = ()
    calibration: Calibration | None = None

    def __init__(self, *, name: str, preprocessing: Preprocessing) -> None:
        super().__init__()
        if preprocessing.shape is None:
            raise DataError(
                f"model {name!r} takes images of one shape; its preprocessing names none"
            )
        self.name, self.preprocessing = name, preprocessing
        self.encoding_windows = EncodingWindows(preprocessing.shape, (0, 0, 0))

    def require_whole_scan(self, image: Tensor) -> None:
        """Pass images (B, 1, D, H, W) of the one shape.

        Raises
        ------
        CtClipError
            Naming both shapes.
        """
        shape = self.encoding_windows.shape
        if image.ndim != 5 or tuple(image.shape[1:]) != (1, *shape):
            raise CtClipError(
                f"model {self.name!r} expected images (B, 1, *{shape}), got {tuple(image.shape)}; "
                "prepare the scan with model.preprocessing.prepare"
            )

"""A radiograph (PNG, JPEG or DICOM) to grey values: bright is dense, 12 bits."""

# mypy: allow-untyped-calls
# SimpleITK and pydicom are typed in part only.
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import SimpleITK
from PIL import Image, UnidentifiedImageError

from napari_ctclip.core.errors import DataError, UnreadableFile
from napari_ctclip.io.ct.file_format import FileFormat, file_format

__all__ = ["GREY_MAX", "read_radiograph"]

GREY_MAX = 4095

# Ours: 16-bit exports keep collimator and marker pixels far outside the anatomy
_STRETCH_PERCENT = (0.1, 99.9)
_FEWEST_PIXELS = 32


def read_radiograph(path: Path) -> npt.NDArray[np.int16]:
    """Return grey values (H, W), int16 from 0 to ``GREY_MAX``; dense is bright.

    DICOM: rescale and the file's window are applied, MONOCHROME1 is inverted. 8-bit pictures keep
    their full range; deeper ones without a window are stretched between their 0.1 and 99.9
    percentiles.

    Raises
    ------
    UnreadableFile
        If it is missing, cut short or damaged.
    DataError
        If it is not one grey picture.
    """
    pixels, limits = _from_dicom(path) if _is_dicom(path) else _from_picture(path)
    if pixels.ndim != 2 or min(pixels.shape) < _FEWEST_PIXELS:
        raise DataError(
            f"{path}: shape {pixels.shape}, expected one picture of at least "
            f"{_FEWEST_PIXELS} pixels each way"
        )
    low, high = limits
    if high <= low:
        raise DataError(f"{path}: every pixel is {low:g}; export the picture again")
    grey = np.clip((pixels.astype(np.float32) - low) / (high - low), 0.0, 1.0)
    return np.asarray(np.rint(grey * GREY_MAX), dtype=np.int16)


def _is_dicom(path: Path) -> bool:
    return file_format(path) is FileFormat.DICOM


def _from_picture(path: Path) -> tuple[npt.NDArray[Any], tuple[float, float]]:
    try:
        with Image.open(path) as image:
            image.load()
            deep = image.mode.startswith(("I", "F"))
            pixels = np.asarray(image if deep else image.convert("L"))
    except UnidentifiedImageError as error:
        raise UnreadableFile(f"{path} is no picture that is read (PNG, JPEG, DICOM)") from error
    except (OSError, SyntaxError) as error:  # Pillow's damaged PNG is a SyntaxError
        raise UnreadableFile(f"{path} is cut short or damaged ({error})") from error
    return pixels, (_stretch(pixels) if deep else (0.0, 255.0))


def _from_dicom(path: Path) -> tuple[npt.NDArray[Any], tuple[float, float]]:
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        image = SimpleITK.ReadImage(str(path))
    except (RuntimeError, OSError, pydicom.errors.InvalidDicomError) as error:
        raise UnreadableFile(f"{path} is cut short or damaged; copy the file again") from error
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise DataError(f"{path}: a colour picture, expected grey values")
    pixels = np.squeeze(SimpleITK.GetArrayFromImage(image), axis=0)
    limits = _window(header)
    return pixels, _stretch(pixels) if limits is None else limits


def _window(header: pydicom.Dataset) -> tuple[float, float] | None:
    level, width = header.get("WindowCenter"), header.get("WindowWidth")
    if level is None or width is None:
        return None
    first = [
        v[0] if isinstance(v, (list, pydicom.multival.MultiValue)) else v for v in (level, width)
    ]
    level, width = float(first[0]), float(first[1])
    if width <= 1:
        return None
    if str(header.get("PhotometricInterpretation", "")) == "MONOCHROME1":
        # SimpleITK has turned the stored values s into 2^bits - 1 - s, the window it has not
        slope, intercept = (
            float(header.get(key, default))
            for key, default in (("RescaleSlope", 1), ("RescaleIntercept", 0))
        )
        level = slope * (2 ** int(header.BitsStored) - 1) + 2 * intercept - level
    return level - width / 2, level + width / 2


def _stretch(pixels: npt.NDArray[Any]) -> tuple[float, float]:
    low, high = np.percentile(pixels, _STRETCH_PERCENT)
    return float(low), float(high)

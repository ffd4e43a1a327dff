"""Layers: nouns to napari layers and back; every number of placing and colouring is here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from napari.utils.colormaps import Colormap, DirectLabelColormap

from napari_ctclip.core.anatomy import colour_of
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.core.volume import WINDOWS, Volume, Window
from napari_ctclip.models.interface import Calibration
from napari_ctclip.plugin.canvas.heatmap_grid import heatmap_on_scan

__all__ = [
    "CT_RANGE_HU",
    "NAMESPACE",
    "PROMPT_COLOURS",
    "Frame",
    "LayerData",
    "ct_layer",
    "default_heatmap_range",
    "default_hidden",
    "heatmap_colormap",
    "heatmap_layer",
    "organ_colormap",
    "organ_layer",
    "own_metadata",
    "probe_layer",
    "starting_window",
]

NAMESPACE = "ctclip"
"""Key of our own part of ``layer.metadata``."""

PROMPT_COLOURS: tuple[str, ...] = (
    "#ff9d2e", "#4cc9f0", "#f15bb5", "#9bdc28", "#fee440", "#b892ff", "#ff6b5e", "#2ee6a8",
)  # fmt: skip
"""One a prompt, in order; told apart by colour-blind readers over gray."""

CT_RANGE_HU = (-1500.0, 3071.0)
"""What the contrast sliders cover: fixed, so that no voxel need be looked at."""

LayerData = tuple[Any, dict[str, Any], Literal["image", "labels", "points"]]

_AXES = ("I", "P", "L")
_UNITS = ("mm", "mm", "mm")
_NAME_LENGTH = 40
_HEATMAP_PROBABILITIES = (0.2, 0.95)
_LEAST_MAXIMUM = 0.05
_HIDDEN_AT_FIRST = ("body", "mediastinum")  # their outlines cross every organ's


@dataclass(frozen=True)
class Frame:
    """Where a scan is drawn: napari world in mm, axes Inferior, Posterior, Left.

    An oblique scan is drawn with its axes made straight (napari cannot slice it otherwise); what
    lies on it is placed through its voxel grid, so it moves with the scan.

    Attributes
    ----------
    geometry : Geometry
        Of the scan.
    """

    geometry: Geometry

    @cached_property
    def scale(self) -> npt.NDArray[np.float64]:
        """Millimetres a voxel (z, y, x)."""
        return np.asarray(self.geometry.spacing_mm)

    @cached_property
    def translate(self) -> npt.NDArray[np.float64]:
        """World place of voxel (0, 0, 0): minus its RAS coordinates, reversed."""
        straight = self.geometry.deobliqued()
        return np.asarray(-straight.affine[:3, 3][::-1])

    @cached_property
    def extent(self) -> npt.NDArray[np.float64]:
        """World places (2, 3) of the scan's outer faces."""
        faces = np.array([[-0.5] * 3, np.asarray(self.geometry.shape) - 0.5])
        return self.index_to_display(faces)

    def index_to_display(self, index: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the napari world place of a voxel of the scan."""
        return np.asarray(index, dtype=np.float64) * self.scale + self.translate

    def display_to_index(self, place: npt.ArrayLike) -> tuple[int, int, int] | None:
        """Return the voxel at a napari world place; None outside the scan."""
        index = np.rint((np.asarray(place, dtype=np.float64) - self.translate) / self.scale)
        if not self.geometry.contains_index(index):
            return None
        z, y, x = (int(i) for i in index)
        return z, y, x

    def world_to_index(self, world_mm: npt.ArrayLike) -> tuple[int, int, int]:
        """Return the voxel of the scan nearest to a RAS place."""
        index = np.rint(self.geometry.world_to_index(world_mm))
        z, y, x = np.clip(index, 0, np.asarray(self.geometry.shape) - 1).astype(int).tolist()
        return z, y, x

    def placing(self, grid: Geometry) -> dict[str, Any]:
        """Return scale, translate and units of a layer on a grid parallel to the scan's."""
        first = self.geometry.world_to_index(grid.index_to_world((0, 0, 0)))
        return {
            "scale": grid.spacing_mm,
            "translate": tuple(self.index_to_display(first).tolist()),
            "units": _UNITS,
            "axis_labels": _AXES,
        }


def ct_layer(
    volume: Volume, *, name: str = "CT", more: Mapping[str, Any] | None = None
) -> LayerData:
    """Return the image layer of a scan; ``more`` joins its metadata."""
    frame = Frame(volume.geometry)
    own = {"schema": 1, "role": "ct", "volume": volume, "hu": True, **(more or {})}
    metadata = {
        NAMESPACE: own | {"source": volume.source_path, "affine_ras": volume.geometry.affine},
        "spacing": volume.geometry.spacing_mm,
    }
    properties = frame.placing(volume.geometry) | {
        "name": name,
        "colormap": "gray",
        "contrast_limits": starting_window(volume).limits,
        "metadata": metadata,
    }
    return volume.voxels, properties, "image"


def starting_window(volume: Volume) -> Window:
    """Return the window a scan opens with: the file's own first, else Lung."""
    return next(iter(volume.windows.values()), WINDOWS["Lung"])


def organ_layer(masks: OrganMasks, frame: Frame, hidden: frozenset[str] | None = None) -> LayerData:
    """Return the labels layer of organ masks, outlines only."""
    names = sorted(masks.legend.items(), key=lambda item: item[1])
    properties = frame.placing(masks.geometry) | {
        "name": "Organs",
        "opacity": 0.8,
        "colormap": organ_colormap(masks, default_hidden(masks) if hidden is None else hidden),
        "features": {
            "index": [0, *(label for _, label in names)],
            "name": ["", *(name for name, _ in names)],
        },
        "metadata": {NAMESPACE: {"schema": 1, "role": "organs", "source": masks.source}},
    }
    return masks.labels, properties, "labels"


def default_hidden(masks: OrganMasks) -> frozenset[str]:
    """Return the organs whose outlines start hidden."""
    return frozenset(name for name in _HIDDEN_AT_FIRST if name in masks.legend)


def organ_colormap(masks: OrganMasks, hidden: frozenset[str]) -> DirectLabelColormap:
    """Return the colours of a label map; hidden organs are transparent."""
    colours: dict[int | None, tuple[float, ...]] = {None: (0.0,) * 4, 0: (0.0,) * 4}
    for name, label in masks.legend.items():
        red, green, blue = (channel / 255 for channel in colour_of(name))
        colours[label] = (red, green, blue, 0.0 if name in hidden else 1.0)
    return DirectLabelColormap(color_dict=colours)


def heatmap_layer(
    answer_map: SimilarityMap,
    frame: Frame,
    *,
    colour: str,
    limits: tuple[float, float],
    smooth: bool = True,
) -> LayerData:
    """Return the image layer of a similarity map, on tokens or, if those are finer, on slices.

    Not ``smooth``, it has the tokens' own edges.
    """
    values, grid = heatmap_on_scan(answer_map, frame.geometry, smooth=smooth)
    between = "linear" if smooth else "nearest"
    prompt = answer_map.prompt
    metadata = {"schema": 1, "role": "heatmap", "prompt": prompt.positive}
    metadata |= {"negative": prompt.negative, "score_kind": "similarity"}
    metadata |= {"phrasing": prompt.templates.name}
    properties = frame.placing(grid) | {
        "name": f"Heatmap: {prompt.positive[:_NAME_LENGTH]}",
        "colormap": heatmap_colormap(colour),
        "contrast_limits": limits,
        "blending": "translucent_no_depth",
        "interpolation2d": between,
        "interpolation3d": between,
        "metadata": {NAMESPACE: metadata},
    }
    return values, properties, "image"


def default_heatmap_range(calibration: Calibration | None, highest: float) -> tuple[float, float]:
    """Return the similarities where a heatmap begins and is strongest, the same for every prompt.

    Ours: probability 0.2 and 0.95 where the model brings a calibration; else from a tie with the
    negatives to the highest similarity of any answer so far.

    Parameters
    ----------
    calibration : Calibration or None
        The model's own.
    highest : float
        Highest similarity that any prompt reached in this scan.
    """
    if calibration is None or calibration.slope <= 0:
        return 0.0, max(highest, _LEAST_MAXIMUM)
    low, high = (
        (float(np.log(p / (1 - p))) - calibration.intercept) / calibration.slope
        for p in _HEATMAP_PROBABILITIES
    )
    return low, high


def heatmap_colormap(colour: str) -> Colormap:
    """Return a ramp from nothing through the prompt's colour to nearly white."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    tone = np.array([red, green, blue])
    stops = [(0.45, 0.0), (0.6, 0.35), (0.85, 0.6), (1.0, 0.8)]
    colours = [(*(tone * shade), alpha) for shade, alpha in stops]
    colours.append((*(0.35 * tone + 0.65), 0.95))
    return Colormap(colours, name=f"ctclip {colour}", controls=(0, 0.25, 0.5, 0.75, 1.0))


def probe_layer(frame: Frame) -> LayerData:
    """Return the points layer that marks a point; coordinates in the scan's voxels."""
    properties = frame.placing(frame.geometry) | {
        "name": "Probe",
        "ndim": 3,
        "symbol": "disc",
        "face_color": "transparent",
        "border_color": "#00e5ff",
        "size": 10,
        "border_width": 0.14,
        "antialiasing": 1,
        "metadata": {NAMESPACE: {"schema": 1, "role": "probe"}},
    }
    return np.empty((0, 3)), properties, "points"


def own_metadata(layer: Any) -> Mapping[str, Any]:
    """Return what we noted on a layer; empty for other plugins' layers."""
    found = layer.metadata.get(NAMESPACE)
    return found if isinstance(found, Mapping) else {}

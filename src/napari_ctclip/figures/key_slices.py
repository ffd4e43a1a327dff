"""Key slices: the three planes through a point, with heatmap, contours and a legend, on axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.region import Region
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.core.volume import WINDOWS, Volume, Window

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["KeySlices", "draw_key_slices", "draw_line", "voxel_at", "window_about"]

_PLANES = (("axial", 0, "R", "L"), ("coronal", 1, "R", "L"), ("sagittal", 2, "A", "P"))
_LUNG_HU = -500  # a point among air-filled voxels is read in the lung window
_HEAT_FLOOR = 0.35  # of the shown range: below it the CT stays bare
_RAMP: tuple[tuple[float, tuple[float, float, float, float]], ...] = (
    (0.0, (1.0, 0.9, 0.0, 0.0)),
    (_HEAT_FLOOR, (0.6, 0.1, 0.3, 0.0)),
    (0.7, (0.95, 0.45, 0.1, 0.5)),
    (1.0, (1.0, 1.0, 0.4, 0.75)),
)
_CROSS, _HEAT_LINE, _REGION_LINE = "#40e0ff", "#ffd166", "#7cff6b"

Index = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class KeySlices:
    """What is drawn.

    Attributes
    ----------
    volume : Volume
        The scan.
    index : tuple of int
        Voxel (z, y, x) where the planes cross.
    window : Window
        How the scan is shown.
    similarity_map : SimilarityMap or None
        The heatmap over it.
    heat_contour : float or None
        Similarity at which a line is drawn.
    region : Region or None
        Outlined.
    """

    volume: Volume
    index: Index
    window: Window
    similarity_map: SimilarityMap | None = None
    heat_contour: float | None = None
    region: Region | None = None

    @property
    def heat_top(self) -> float:
        """The similarity at which the heatmap is opaque: the map's highest."""
        if self.similarity_map is None or not np.isfinite(self.similarity_map.values).any():
            return 1e-6
        return max(float(np.nanmax(self.similarity_map.values)), 1e-6)


def draw_key_slices(figure: Figure, axes: Sequence[Axes], shown: KeySlices) -> None:
    """Draw axial, coronal and sagittal planes on three axes, with a colour bar for the heatmap."""
    for ax, (name, axis, first, last) in zip(axes, _PLANES, strict=True):
        position = shown.index[axis]
        _draw_plane(ax, shown, axis)
        if shown.similarity_map is not None:
            _draw_heat(ax, shown, _heat_on_plane(shown, axis))
        if shown.region is not None:
            _outline(ax, shown.region, (axis, position), shown.volume.geometry)
        row, column = (shown.index[i] for i in range(3) if i != axis)
        ax.plot(column, row, marker="+", color=_CROSS, markersize=14)
        ax.set_title(f"{name} ({first} left, {last} right)", fontsize=9)
        ax.set_axis_off()
    if shown.similarity_map is not None:
        _draw_legend(figure, axes, shown)


def voxel_at(geometry: Geometry, world_mm: Sequence[float]) -> Index:
    """Return the voxel of a grid nearest to a RAS point, mm."""
    at = np.rint(geometry.world_to_index(world_mm)).astype(int)
    z, y, x = np.clip(at, 0, np.asarray(geometry.shape) - 1).tolist()
    return z, y, x


def window_about(volume: Volume, index: Index) -> Window:
    """Return the lung window about a point in the lung, the mediastinal one elsewhere."""
    z, y, x = (slice(max(0, c - 12), c + 13) for c in index)
    low = float(np.percentile(volume.voxels[z, y, x], 25))
    return WINDOWS["Lung"] if low < _LUNG_HU else WINDOWS["Mediastinum"]


# --- inside ---------------------------------------------------------------------------------------


def _draw_plane(ax: Axes, shown: KeySlices, axis: int) -> None:
    low, high = shown.window.limits
    rows_mm, columns_mm = (s for i, s in enumerate(shown.volume.geometry.spacing_mm) if i != axis)
    ax.imshow(
        np.take(shown.volume.voxels, shown.index[axis], axis=axis),
        cmap="gray",
        vmin=low,
        vmax=high,
        aspect=rows_mm / columns_mm,
        interpolation="bilinear",
    )


def _heat_on_plane(shown: KeySlices, axis: int) -> npt.NDArray[np.float64]:
    """Return the map where the plane's voxels lie; -1 where it knows nothing."""
    from scipy.ndimage import map_coordinates

    assert shown.similarity_map is not None
    geometry = shown.volume.geometry
    shape = [n for i, n in enumerate(geometry.shape) if i != axis]
    rows, columns = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
    index = np.insert(np.stack([rows, columns], axis=-1), axis, shown.index[axis], axis=-1)
    tokens = shown.similarity_map.geometry.world_to_index(geometry.index_to_world(index))
    heat = map_coordinates(
        np.nan_to_num(shown.similarity_map.values, nan=-1.0),
        np.moveaxis(tokens, -1, 0),
        order=1,
        mode="constant",
        cval=-1.0,
    )
    return np.asarray(heat)


def _draw_heat(ax: Axes, shown: KeySlices, heat: npt.NDArray[np.float64]) -> None:
    share = np.clip(heat / shown.heat_top, 0.0, 1.0)
    ax.imshow(_heat_colours()(share), aspect=ax.get_aspect(), interpolation="bilinear")
    line = shown.heat_contour
    if line is not None:
        draw_line(ax, heat, line, colors=_HEAT_LINE, linewidths=1.0, linestyles="dashed")


def _outline(ax: Axes, region: Region, plane: tuple[int, int], geometry: Geometry) -> None:
    axis, position = plane
    inside = position - region.start[axis]
    if not 0 <= inside < region.mask.shape[axis]:
        return
    shape = [n for i, n in enumerate(geometry.shape) if i != axis]
    whole = np.zeros(shape, dtype=np.float32)
    box = tuple(s for i, s in enumerate(region.box) if i != axis)
    whole[box] = np.take(region.mask, inside, axis=axis)
    draw_line(ax, whole, 0.5, colors=_REGION_LINE, linewidths=1.4)


def draw_line(ax: Axes, values: npt.NDArray[Any], level: float, **style: Any) -> None:
    """Draw where a plane crosses a level; a plane one voxel thin has no inside to go around."""
    if min(values.shape) > 1 and values.min() < level < values.max():
        ax.contour(values, levels=[level], **style)


def _draw_legend(figure: Figure, axes: Sequence[Axes], shown: KeySlices) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    mappable = ScalarMappable(Normalize(0.0, shown.heat_top), _heat_colours(opaque=True))
    bar = figure.colorbar(mappable, ax=list(axes), fraction=0.02, pad=0.01)
    bar.set_label("similarity (relative to this scan)", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    if shown.heat_contour is not None and 0.0 <= shown.heat_contour <= shown.heat_top:
        bar.ax.axhline(shown.heat_contour, color="black", linestyle="dashed", linewidth=1.0)


def _heat_colours(*, opaque: bool = False) -> Any:
    """Return the heatmap's ramp; over mid-gray where a legend cannot be transparent."""
    from matplotlib.colors import LinearSegmentedColormap

    ramp = [
        (at, (*(0.5 + alpha * (channel - 0.5) for channel in (r, g, b)), 1.0) if opaque else c)
        for at, c in _RAMP
        for r, g, b, alpha in (c,)
    ]
    return LinearSegmentedColormap.from_list("heat", ramp)

"""Figures: the three planes through a peak with the heatmap over them, as a PNG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.similarity_map import Peak, SimilarityMap
from napari_ctclip.core.volume import WINDOWS, Volume

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["write_gray_picture", "write_prompt_figure"]

_PLANES = (("axial", 0, "R", "L"), ("coronal", 1, "R", "L"), ("sagittal", 2, "A", "P"))
_MOST_BARS = 10
_LUNG_HU = -500  # a peak among air-filled voxels is read in the lung window
_HEAT_FLOOR = 0.35  # of the shown range: below it the CT stays bare


def write_gray_picture(gray: npt.NDArray[np.uint8], path: Path) -> None:
    """Write gray values (H, W) as a PNG, pixel by pixel."""
    from matplotlib.image import imsave

    imsave(path, gray, cmap="gray", vmin=0, vmax=255, format="png")


def write_prompt_figure(
    volume: Volume,
    similarity_map: SimilarityMap,
    path: Path,
    *,
    peak: Peak,
    organ_probabilities: Mapping[str, float],
    probability_means: str = "",
) -> None:
    """Write axial, coronal and sagittal slices through the peak, and the organs' probabilities.

    Parameters
    ----------
    volume : Volume
        The scan.
    similarity_map : SimilarityMap
        Drawn over it.
    path : Path
        A PNG.
    peak : Peak
        Where the planes cross.
    organ_probabilities : mapping of str to float
        Bars, in this order.
    probability_means : str
        What the bars were calibrated on, in words.
    """
    # the Agg canvas itself: no window system and no pyplot state, so any thread may draw
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 4, width_ratios=(1, 1, 1, 0.8))
    centre = np.rint(volume.geometry.world_to_index(peak.world_mm)).astype(int)
    centre = np.clip(centre, 0, np.asarray(volume.geometry.shape) - 1)
    limits = _window_about(volume, centre).limits
    top = max(float(np.nanmax(similarity_map.values)), 1e-6)
    for ax, (name, axis, first, last) in zip(axes, _PLANES, strict=False):
        _draw_plane(ax, volume, (axis, int(centre[axis])), limits)
        _draw_heat(ax, similarity_map, volume.geometry, (axis, int(centre[axis]), top))
        row, column = (centre[i] for i in range(3) if i != axis)
        ax.plot(column, row, marker="+", color="#40e0ff", markersize=14)
        ax.set_title(f"{name} ({first} left, {last} right)", fontsize=9)
        ax.set_axis_off()
    _draw_bars(axes[3], organ_probabilities, probability_means)
    x, y, z = peak.world_mm
    figure.suptitle(
        f"“{similarity_map.prompt.positive}” against “{similarity_map.prompt.negative}”: "
        f"peak {peak.value:.2f} at x {x:.0f}, y {y:.0f}, z {z:.0f} mm (RAS). "
        "Similarity is relative, not a diagnosis.",
        fontsize=10,
    )
    partial = path.with_name(f".{path.name}.part")
    figure.savefig(partial, dpi=110, format="png")
    partial.replace(path)


def _window_about(volume: Volume, centre: npt.NDArray[np.intp]) -> Any:
    z, y, x = (slice(max(0, c - 12), c + 13) for c in centre)
    low = float(np.percentile(volume.voxels[z, y, x], 25))
    return WINDOWS["Lung"] if low < _LUNG_HU else WINDOWS["Mediastinum"]


def _draw_plane(
    ax: Axes, volume: Volume, plane: tuple[int, int], limits: tuple[float, float]
) -> None:
    axis, position = plane
    rows_mm, columns_mm = (s for i, s in enumerate(volume.geometry.spacing_mm) if i != axis)
    ax.imshow(
        np.take(volume.voxels, position, axis=axis),
        cmap="gray",
        vmin=limits[0],
        vmax=limits[1],
        aspect=rows_mm / columns_mm,
        interpolation="bilinear",
    )


def _draw_heat(
    ax: Axes,
    similarity_map: SimilarityMap,
    geometry: Geometry,
    plane_and_top: tuple[int, int, float],
) -> None:
    """Draw the map's values on a plane of the CT, sampled where the CT's voxels lie."""
    from matplotlib.colors import LinearSegmentedColormap
    from scipy.ndimage import map_coordinates

    axis, position, top = plane_and_top
    shape = [n for i, n in enumerate(geometry.shape) if i != axis]
    rows, columns = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
    index = np.insert(np.stack([rows, columns], axis=-1), axis, position, axis=-1)
    tokens = similarity_map.geometry.world_to_index(geometry.index_to_world(index))
    heat = map_coordinates(
        np.nan_to_num(similarity_map.values, nan=-1.0),
        np.moveaxis(tokens, -1, 0),
        order=1,
        mode="constant",
        cval=-1.0,
    )
    share = np.clip(heat / top, 0.0, 1.0)
    ramp = [
        (0, (1, 0.9, 0, 0)),
        (_HEAT_FLOOR, (0.6, 0.1, 0.3, 0)),
        (0.7, (0.95, 0.45, 0.1, 0.5)),
        (1, (1, 1, 0.4, 0.75)),
    ]
    colours = LinearSegmentedColormap.from_list("heat", ramp)
    ax.imshow(colours(share), aspect=ax.get_aspect(), interpolation="bilinear")


def _draw_bars(ax: Axes, organ_probabilities: Mapping[str, float], means: str) -> None:
    shown = list(organ_probabilities.items())[:_MOST_BARS][::-1]
    if not shown:
        ax.set_axis_off()
        return
    ax.barh([name.replace("_", " ") for name, _ in shown], [p for _, p in shown], color="#e07b39")
    ax.set_xlim(0, 1)
    ax.set_xlabel("\n".join(wrap(f"probability: {means}", width=34)), fontsize=8)
    ax.set_title("organs", fontsize=9)
    ax.tick_params(labelsize=8)

"""Faithfulness figures: an occluded region before and after, and the curves of a tested map."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.core.volume import Volume
from napari_ctclip.figures.key_slices import draw_line, window_about
from napari_ctclip.io.export.exports import heat_slices

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from napari_ctclip.explanation.map_test import MapTest

    # torch comes in with these; a window draws before it asks
    from napari_ctclip.explanation.occlusion import OccludedRegion

__all__ = ["draw_curves", "draw_effects", "map_test_figure", "occlusion_figure"]

_OWN, _REFERENCE = "#c9641f", "#4d84b5"  # on paper and on the panel, light or dark
_MARGIN_MM = 40.0
_FONT = 8
_LEAST_RANGE = 1e-3


def occlusion_figure(occluded: OccludedRegion, volume: Volume) -> Figure:
    """Return the axial slice as it is and occluded, the change, and the scores with controls."""
    figure = _figure(14.0, 4.6)
    axes = figure.subplots(1, 4, width_ratios=(1, 1, 1, 1.15))
    _draw_slices(figure, axes, occluded, volume)
    draw_effects(axes[3], occluded, ink="black")
    size_ml = occluded.region.volume_ml(volume.geometry)
    title = f"“{occluded.prompt.positive}” with {size_ml:.1f} ml occluded"
    figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def map_test_figure(tested: MapTest) -> Figure:
    """Return deletion and insertion, by the map's own ranking and at random."""
    figure = _figure(9.0, 4.0)
    axes = figure.subplots(1, 2, sharey=True)
    draw_curves(axes, tested, ink="black")
    title = "\n".join(wrap(f"“{tested.prompt.positive}”", width=90))
    figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def draw_effects(ax: Axes, occluded: OccludedRegion, *, ink: str) -> None:
    """Draw every score's change as a diamond over the rings of its controls."""
    for row, effect in enumerate(occluded.effects):
        ax.plot(
            effect.controls, [row] * len(effect.controls), "o", markerfacecolor="none",
            color=_REFERENCE, markersize=7, label="control regions" if row == 0 else None,
        )  # fmt: skip
        ax.plot(
            effect.change, row, "D", color=_OWN, markersize=8,
            label="this region" if row == 0 else None,
        )  # fmt: skip
    names = [anatomy_label(effect.where) for effect in occluded.effects]
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.margins(x=0.08)
    ax.axvline(0.0, color=ink, linewidth=0.8)
    ax.set_xlabel("change of similarity", fontsize=_FONT, color=ink)
    ax.tick_params(labelsize=_FONT, colors=ink)
    ax.legend(
        fontsize=_FONT, frameon=False, labelcolor=ink, ncols=2, loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
    )  # fmt: skip


def draw_curves(axes: Any, tested: MapTest, *, ink: str) -> None:
    """Draw the two curves on two axes, tokens on a logarithmic scale."""
    from matplotlib.ticker import EngFormatter

    rows = tested.rows
    tokens = [max(row.tokens, 0) for row in rows]
    titles = ("highest tokens blurred", "all others blurred")
    drawn = (
        ([row.deletion for row in rows], [row.reference_deletion for row in rows]),
        ([row.insertion for row in rows], [row.reference_insertion for row in rows]),
    )
    for ax, title, (own, reference) in zip(axes, titles, drawn, strict=True):
        ax.plot(tokens, own, "D-", color=_OWN, markersize=4, label="ranked by the map")
        ax.plot(
            tokens, reference, "o--", color=_REFERENCE, markersize=5, markerfacecolor="none",
            label="drawn at random",
        )  # fmt: skip
        ax.set_xscale("symlog", linthresh=max(1, tokens[1]))
        ax.set_xticks([0, *_decades(tokens[1], tokens[-1])], minor=False)
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        ax.minorticks_off()
        ax.set_title(title, fontsize=_FONT, color=ink)
        ax.set_xlabel("tokens", fontsize=_FONT, color=ink)
        ax.tick_params(labelsize=_FONT, colors=ink)
    axes[0].set_ylabel(f"similarity, {anatomy_label(tested.anatomy)}", fontsize=_FONT, color=ink)
    axes[0].get_figure(root=False).legend(
        *axes[0].get_legend_handles_labels(),
        fontsize=_FONT, frameon=False, labelcolor=ink, ncols=2, loc="outside lower center",
    )  # fmt: skip


def _decades(first: int, last: int) -> list[int]:
    """Return the powers of ten from ``first`` to ``last``."""
    return [10**power for power in range(len(str(last))) if first <= 10**power <= last]


def _figure(width: float, height: float) -> Figure:
    # the Agg canvas itself: no window system and no pyplot state, so any thread may draw
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _draw_slices(figure: Figure, axes: Any, occluded: OccludedRegion, volume: Volume) -> None:
    """Draw the axial slice through the middle of the region: as it is, occluded, and the change."""
    region, spacing = occluded.region, volume.geometry.spacing_mm
    z, y, x = (s + n // 2 for s, n in zip(region.start, region.mask.shape, strict=True))
    box = [
        slice(max(0, s.start - round(_MARGIN_MM / mm)), s.stop + round(_MARGIN_MM / mm))
        for s, mm in zip(region.box[1:], spacing[1:], strict=True)
    ]
    low, high = window_about(volume, (z, y, x)).limits
    inside = np.zeros(volume.geometry.shape[1:], dtype=np.float32)
    inside[region.box[1:]] = region.mask[z - region.start[0]]
    was, now = (_plane(a.similarity_map, volume, z) for a in (occluded.before, occluded.after))
    top = max(float(np.nanmax(occluded.before.similarity_map.values)), _LEAST_RANGE)
    most = max(float(np.nanmax(np.abs(occluded.difference.values))), _LEAST_RANGE)
    shown = (
        ("as it is", volume, was, ("inferno", 0.0, top)),
        ("occluded", occluded.fill.on(volume), now, ("inferno", 0.0, top)),
        ("change of similarity", volume, now - was, ("RdBu_r", -most, most)),
    )
    for ax, (title, scan, heat, (colours, first, last)) in zip(axes[:3], shown, strict=True):
        view = (box[0], box[1])
        ax.imshow(
            scan.voxels[z][view], cmap="gray", vmin=low, vmax=high, aspect=spacing[1] / spacing[2]
        )
        weak = np.abs(np.nan_to_num(heat[view])) < 0.15 * max(abs(first), last)
        weak |= (np.nan_to_num(heat[view]) < 0) & (first >= 0)
        drawn = ax.imshow(
            np.ma.masked_where(weak, heat[view]), cmap=colours, vmin=first, vmax=last, alpha=0.55,
            aspect=spacing[1] / spacing[2],
        )  # fmt: skip
        draw_line(ax, inside[view], 0.5, colors="#00e5ff", linewidths=1.0)
        ax.set_title(title, fontsize=_FONT + 1)
        ax.set_axis_off()
        bar = figure.colorbar(drawn, ax=ax, fraction=0.046, pad=0.02, location="bottom")
        bar.ax.tick_params(labelsize=_FONT - 1)


def _plane(found: SimilarityMap, volume: Volume, z: int) -> npt.NDArray[np.float32]:
    """Return the map on one axial slice of the scan, (H, W)."""
    _, height, width = volume.geometry.shape
    target = volume.geometry.cropped((z, 0, 0), (z + 1, height, width))
    return np.stack([column[0] for column in heat_slices(found, target)], axis=-1)

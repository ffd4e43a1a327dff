"""Figures of the quality report, as PNG in base64: distributions, and a sheet of middle slices."""

# mypy: allow-untyped-calls
# matplotlib is typed in part only.
from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from napari_ctclip.core.anatomy import colour_of
from napari_ctclip.core.geometry import INTERNAL_AXES, Geometry
from napari_ctclip.core.volume import WINDOWS
from napari_ctclip.figures.key_slices import draw_line
from napari_ctclip.io.ct.radiograph import GREY_MAX
from napari_ctclip.io.store.manifest_entry import ManifestEntry
from napari_ctclip.io.store.study_record import HISTOGRAM_EDGES_HU, StudyRecord
from napari_ctclip.io.store.study_store import StoredCrop, StudyStore

__all__ = ["contact_sheet", "distributions"]

_DPI = 90
_COLUMNS = 6
_INCH = 1.9
_COLOUR = "#33658a"

Picture = npt.NDArray[np.float32]


def distributions(
    entries: Sequence[ManifestEntry], records: Sequence[StudyRecord], *, is_ct: bool
) -> str:
    """Return histograms of text length, spacing and HU."""
    figure = Figure(figsize=(11, 2.6) if is_ct else (4, 2.6), layout="constrained")
    axes = figure.subplots(1, 4 if is_ct else 1, squeeze=False)[0]
    words = [len(entry.text.split()) for entry in entries]
    _histogram(axes[0], words, "words a report")
    if is_ct:
        spacing = np.array([record.source_spacing_mm for record in records])
        _histogram(axes[1], spacing[:, 0].tolist(), "slice spacing, mm")
        _histogram(axes[2], spacing[:, 1:].mean(axis=1).tolist(), "pixel spacing, mm")
        counts = np.sum([record.histogram for record in records], axis=0)
        edges = np.asarray(HISTOGRAM_EDGES_HU)
        axes[3].bar(edges[:-1], counts / counts.sum(), width=50, align="edge", color=_COLOUR)
        axes[3].set_yscale("log")
        axes[3].set_xlabel("HU")
        axes[3].set_ylabel("share of voxels")
    return _base64(figure)


def contact_sheet(study_ids: Sequence[str], store: StudyStore) -> str:
    """Return middle slices of studies: axial in the lung window, coronal in the soft-tissue one.

    The outlines are the anatomies of the masks. Radiographs are shown as they are.
    """
    is_ct = store.specification.kind == "ct"
    across = min(_COLUMNS, len(study_ids))
    rows = -(-len(study_ids) // across)
    figure = Figure(
        figsize=(across * _INCH, rows * _INCH * (2.05 if is_ct else 1.1)), layout="constrained"
    )
    axes = figure.subplots(rows * (2 if is_ct else 1), across, squeeze=False)
    for axis in axes.ravel():
        axis.set_axis_off()
    for number, study_id in enumerate(study_ids):
        row, column = divmod(number, across)
        crop = store.whole(study_id)
        if is_ct:
            _show_scan(axes[2 * row, column], axes[2 * row + 1, column], crop, store.anatomies)
        else:
            axes[row, column].imshow(crop.voxels[0], cmap="gray", vmin=0, vmax=GREY_MAX)
        top = axes[(2 if is_ct else 1) * row, column]
        top.set_title(_shortened(study_id), fontsize=7, parse_math=False)  # $ is no formula
    return _base64(figure)


def _show_scan(axial: Axes, coronal: Axes, crop: StoredCrop, anatomies: tuple[str, ...]) -> None:
    turn = crop.geometry.transform_to(INTERNAL_AXES)
    voxels, labels = turn.apply(crop.voxels), turn.apply(crop.labels)
    geometry = crop.geometry.reoriented(turn)
    z, y, _ = (n // 2 for n in voxels.shape)
    for axes, index, window in ((axial, (z,), "Lung"), (coronal, (slice(None), y), "Mediastinum")):
        low, high = WINDOWS[window].limits
        picture = voxels[index]
        axes.imshow(
            picture, cmap="gray", vmin=low, vmax=high, aspect=_aspect(geometry, axial is axes)
        )
        present = [int(n) for n in np.unique(labels[index]) if n]
        for label in present:
            colour = [part / 255 for part in colour_of(anatomies[label - 1])]
            mask = labels[index] == label
            draw_line(axes, mask, 0.5, colors=[colour], linewidths=0.7)


def _aspect(geometry: Geometry, is_axial: bool) -> float:
    z, y, x = geometry.spacing_mm
    return y / x if is_axial else z / x


def _histogram(axes: Axes, values: Sequence[float], name: str) -> None:
    axes.hist(values, bins=20, color=_COLOUR)
    axes.set_xlabel(name)
    axes.set_ylabel("studies")


def _shortened(study_id: str) -> str:
    return study_id if len(study_id) <= 24 else f"{study_id[:11]}…{study_id[-11:]}"


def _base64(figure: Figure) -> str:
    buffer = BytesIO()
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return b64encode(buffer.getvalue()).decode("ascii")

"""Pictures: the key slices of every answer and finding, as figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.finding import Finding
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.core.volume import Window
from napari_ctclip.explanation.found_regions import DEFAULT_SHARE
from napari_ctclip.exporting.content import ExportContent, file_names
from napari_ctclip.figures.figures import DEFAULT_SIZE, key_slice_figure
from napari_ctclip.figures.key_slices import KeySlices, voxel_at, window_about
from napari_ctclip.scoring.answer import Answer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Picture", "pictures"]

_LEGEND = "Dashed: half the peak. Similarity is relative to this scan, not a diagnosis."


@dataclass(frozen=True, eq=False)
class Picture:
    """One figure.

    Attributes
    ----------
    name : str
        Its file name without suffix.
    caption : str
        What it shows, in one line.
    figure : Figure
        The figure, drawn.
    """

    name: str
    caption: str
    figure: Figure


def pictures(content: ExportContent, *, size: tuple[int, int] = DEFAULT_SIZE) -> Iterator[Picture]:
    """Yield the key slices of every answer, then of every finding that was not rejected."""
    names = file_names([answer.prompt.positive for answer in content.answers])
    for answer, name in zip(content.answers, names, strict=True):
        figure = _of_answer(content, answer, size)
        yield Picture(f"figure_{name}", f"Peak of “{answer.prompt.positive}”", figure)
    for number, finding in enumerate(content.findings, start=1):
        if finding.is_kept:
            figure = _of_finding(content, finding, size)
            yield Picture(f"finding_{number}", f"Finding {number}: {finding.name}", figure)


def _of_answer(content: ExportContent, answer: Answer, size: tuple[int, int]) -> Figure:
    peak, volume = answer.focus.peak, content.study.volume
    index = voxel_at(volume.geometry, peak.world_mm)
    window = window_about(volume, index)
    shown = KeySlices(
        volume,
        index,
        window,
        similarity_map=answer.similarity_map,
        heat_contour=DEFAULT_SHARE * peak.value if peak.value > 0 else None,
    )
    prompt = answer.prompt
    title = (
        f"“{prompt.positive}” contrasted with “{prompt.negative}”: peak {peak.value:.2f} at "
        f"{_point(peak.world_mm)}. {_model(content)} {_window(window)} {_LEGEND}"
    )
    return key_slice_figure(
        shown,
        title=title,
        organ_probabilities={s.anatomy: s.probability for s in answer.organs},
        probability_means=content.probability_means,
        size=size,
    )


def _of_finding(content: ExportContent, finding: Finding, size: tuple[int, int]) -> Figure:
    volume = content.study.volume
    window = window_about(volume, finding.index)
    shown = KeySlices(
        volume,
        finding.index,
        window,
        similarity_map=_map_of(content, finding),
        heat_contour=finding.threshold,
        region=finding.region,
    )
    measured = f"mean {finding.mean_hounsfield:.0f} HU"
    if finding.volume_ml is not None:
        measured = f"{finding.volume_ml:.2f} ml (green outline), {measured}"
    where = f" in the {anatomy_label(finding.anatomy)}" if finding.anatomy else ""
    title = (
        f"{finding.name}{where} ({finding.state}): {measured}, at {_point(finding.world_mm)}. "
        f"{_model(content)} {_window(window)}"
    )
    return key_slice_figure(shown, title=title, size=size)


def _map_of(content: ExportContent, finding: Finding) -> SimilarityMap | None:
    return next((a.similarity_map for a in content.answers if a.prompt == finding.prompt), None)


def _point(world_mm: tuple[float, float, float]) -> str:
    x, y, z = world_mm
    return f"x {x:.0f}, y {y:.0f}, z {z:.0f} mm (RAS)"


def _model(content: ExportContent) -> str:
    return "" if content.model is None else f"Model {content.model.name}."


def _window(window: Window) -> str:
    return f"Window {window.width:.0f}/{window.level:.0f} HU."

"""Report page: an evaluation, or a comparison, as one HTML file with plots and without scripts."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from napari_ctclip.evaluation.bootstrap import Interval
from napari_ctclip.evaluation.comparison import Comparison
from napari_ctclip.evaluation.evaluation_result import Evaluation
from napari_ctclip.evaluation.label_metrics import LabelMetrics
from napari_ctclip.evaluation.localisation import LocalisationRow
from napari_ctclip.evaluation.score_table import Column
from napari_ctclip.io.html_page import render_page

__all__ = ["Plot", "comparison_page", "evaluation_plots", "interval_plot", "report_page"]

Plot = tuple[str, str]
"""Caption, and the picture as a data address."""

_COLOUR, _SECOND, _GREY = "#1f5fa8", "#c2571a", "#8a8f98"  # apart in grey too
_PANELS = 4
_KINDS = {"own": ("the model's own", "o-"), "temperature": ("temperature", "s--"),
          "platt": ("Platt", "^:")}  # fmt: skip


def evaluation_plots(evaluation: Evaluation) -> list[Plot]:
    """Return every plot that the numbers at hand allow."""
    table = evaluation.table
    columns = [table.column(metrics.label) for metrics in evaluation.labels]
    both = [c for c in columns if 0 < c.truth.sum() < len(c.truth)]
    plots = [
        interval_plot(
            [
                (metrics.label, metrics.values["auroc"])
                for metrics in (*evaluation.labels, evaluation.macro)
            ],
            "AUROC with 95 % interval",
            chance=0.5,
        )
    ]
    if both:
        plots.append(_roc_plot(both, evaluation.labels))
        plots.append(_score_plot(both))
        plots.append(_reliability_plot(evaluation))
    overall = [row for row in evaluation.localisation if row.size == "all"]
    if overall:
        plots.append(_pointing_plot(evaluation.localisation))
    if evaluation.faithfulness:
        gains = [(f"{r.label}: deletion", r.deletion_gain) for r in evaluation.faithfulness]
        gains += [(f"{r.label}: insertion", r.insertion_gain) for r in evaluation.faithfulness]
        title = "Heatmap against another label's heatmap (above 0: more faithful)"
        plots.append(interval_plot(gains, title, chance=0.0, limits=None))
    return plots


def interval_plot(
    rows: Sequence[tuple[str, Interval]],
    title: str,
    *,
    chance: float,
    limits: tuple[float, float] | None = (0.0, 1.0),
) -> Plot:
    """Return values with their intervals, one line each; a value without one is a hollow dot."""
    figure = Figure(figsize=(7.5, 0.9 + 0.28 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for row, (_, interval) in enumerate(rows):
        sure = np.isfinite(interval.low)
        if sure:
            axes.plot([interval.low, interval.high], [row, row], color=_COLOUR, linewidth=2)
        if np.isfinite(interval.value):
            face = _COLOUR if sure else "white"
            axes.plot(interval.value, row, "o", color=_COLOUR, markerfacecolor=face)
        else:
            axes.text(chance, row, " not defined", va="center", color=_GREY, fontsize=8)
    axes.axvline(chance, color=_GREY, linewidth=1, linestyle=":")
    axes.set_yticks(range(len(rows)), [name for name, _ in rows], fontsize=8, parse_math=False)
    axes.invert_yaxis()
    if limits is not None:
        axes.set_xlim(limits[0] - 0.01, limits[1] + 0.01)
    axes.set_xlabel(title)
    return title, _address(figure)


def _roc_plot(columns: Sequence[Column], metrics: Sequence[LabelMetrics]) -> Plot:
    points = {one.label: one for one in metrics}
    figure, panels = _panels(len(columns))
    for axes, column in zip(panels, columns, strict=False):
        false, true, _ = roc_curve(column.truth, column.similarity)
        axes.plot(false, true, color=_COLOUR, drawstyle="default")
        axes.plot([0, 1], [0, 1], color=_GREY, linewidth=1, linestyle=":")
        values = points[column.label].values
        if np.isfinite(values["sensitivity"].value):
            at = (1 - values["specificity"].value, values["sensitivity"].value)
            axes.plot(*at, "s", color=_SECOND)
        axes.set_title(f"{column.label}  {values['auroc'].value:.2f}", fontsize=8, parse_math=False)
        axes.set_aspect("equal")
        _label_outer(axes, "1 - specificity", "sensitivity")
    return "ROC curves; the square is the operating point", _address(figure)


def _score_plot(columns: Sequence[Column]) -> Plot:
    figure, panels = _panels(len(columns))
    for axes, column in zip(panels, columns, strict=False):
        for truth, colour, name in ((False, _GREY, "without"), (True, _SECOND, "with")):
            chosen = column.similarity[column.truth == truth]
            style = "--" if truth else "-"
            axes.ecdf(chosen, color=colour, linestyle=style, label=f"{name} ({len(chosen)})")
        axes.set_title(column.label, fontsize=8, parse_math=False)
        axes.legend(fontsize=6, frameon=False)
        axes.locator_params(axis="x", nbins=5)
        _label_outer(axes, "similarity", "share of studies below")
    return "Similarities of studies with and without the finding, cumulative", _address(figure)


def _reliability_plot(evaluation: Evaluation) -> Plot:
    usable = [c for c in evaluation.calibrations if any(kind.bins for kind in c.kinds.values())]
    figure, panels = _panels(len(usable))
    for axes, calibration in zip(panels, usable, strict=False):
        axes.plot([0, 1], [0, 1], color=_GREY, linewidth=1, linestyle=":")
        for (kind, quality), colour in zip(
            calibration.kinds.items(), (_COLOUR, _SECOND, "#2b7a4b"), strict=False
        ):
            name, style = _KINDS[kind]
            legend = f"{name}  ECE {quality.expected_calibration_error:.2f}"
            axes.plot(
                [b.probability for b in quality.bins], [b.observed for b in quality.bins], style,
                color=colour, markersize=3, linewidth=1, label=legend,
            )  # fmt: skip
        axes.set_title(calibration.label, fontsize=8, parse_math=False)
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.legend(fontsize=5.5, frameon=False)
        _label_outer(axes, "probability", "share of positives")
    return "Reliability: probabilities against what came true (ten bins)", _address(figure)


def _pointing_plot(rows: Sequence[LocalisationRow]) -> Plot:
    named = [(f"{r.label}, {r.size} ({r.studies})", r.pointing) for r in rows]
    title = "Heatmap's peak in the lesion, by lesion size"
    return interval_plot(named, title, chance=0.0)


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    columns = min(_PANELS, max(count, 1))
    rows = -(-max(count, 1) // columns)
    figure = Figure(figsize=(2.5 * columns + 0.3, 2.5 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axes in panels[count:]:
        axes.set_visible(False)
    for axes in panels:
        axes.tick_params(labelsize=6)
    return figure, panels


def _label_outer(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x, fontsize=7)
    axes.set_ylabel(y, fontsize=7)


def _address(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


_TABLE_METRICS = (
    ("auroc", "AUROC"),
    ("average_precision", "average precision"),
    ("sensitivity", "sensitivity"),
    ("specificity", "specificity"),
    ("balanced_accuracy", "balanced accuracy"),
    ("f1", "F1"),
    ("f1_weighted", "F1 weighted"),
)


def report_page(evaluation: Evaluation) -> str:
    """Return the page of an evaluation."""
    points = [m.operating_point for m in evaluation.labels if m.operating_point is not None]
    chosen = [point for point in points if math.isfinite(point.threshold)] or points
    return _render(
        "report.html.jinja",
        evaluation=evaluation,
        metrics=_TABLE_METRICS,
        origins=sorted({point.origin for point in chosen}),
        quality={c.label: c.kinds for c in evaluation.calibrations},
        plots=evaluation_plots(evaluation),
    )


def comparison_page(comparison: Comparison) -> str:
    """Return the page of a comparison."""
    plots = [
        interval_plot(
            [(row.label, row.difference) for row in comparison.rows if row.pair == pair],
            f"AUROC of {pair[1]} less that of {pair[0]}, with 95 % interval",
            chance=0.0,
            limits=None,
        )
        for pair in dict.fromkeys(row.pair for row in comparison.rows)
    ]
    return _render("comparison.html.jinja", comparison=comparison, plots=plots)


def _render(template: str, **values: Any) -> str:
    filters: dict[str, Callable[..., Any]] = {
        "interval": _interval,
        "number": _number,
        "p_value": _p_value,
    }
    return render_page(
        "napari_ctclip.evaluation", f"templates/{template}", filters=filters, **values
    )


def _interval(interval: Interval) -> Markup:
    """Return the value with its interval under it."""
    if not math.isfinite(interval.value):
        return Markup("–")
    if not math.isfinite(interval.low):
        return Markup(f"{interval.value:.3f}")
    ends = f"{interval.low:.3f} to {interval.high:.3f}"
    return Markup(f'{interval.value:.3f}<br><span class="ends">{ends}</span>')


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def _p_value(value: float) -> str:
    if not math.isfinite(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"

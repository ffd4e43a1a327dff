"""Report page: an evaluation, or a comparison, as one HTML file without scripts."""

from __future__ import annotations

import math
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from napari_ctclip.evaluation.bootstrap import Interval
from napari_ctclip.evaluation.comparison import Comparison
from napari_ctclip.evaluation.evaluation_result import Evaluation
from napari_ctclip.evaluation.report_plots import evaluation_plots, interval_plot

__all__ = ["comparison_page", "report_page"]

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
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"interval": _interval, "number": _number, "p_value": _p_value}
    folder = files("napari_ctclip.evaluation").joinpath("templates")
    style = folder.joinpath("report.css").read_text("utf-8")
    text = folder.joinpath(template).read_text("utf-8")
    return environment.from_string(text).render(style=style, **values)


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

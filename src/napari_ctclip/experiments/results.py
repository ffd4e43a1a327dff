"""Results of an experiment: each arm's numbers with intervals, pairs, a page part and a figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from napari_ctclip.core.errors import DataError
from napari_ctclip.evaluation.bootstrap import Interval
from napari_ctclip.evaluation.comparison import ComparisonRow, compare_tables
from napari_ctclip.evaluation.label_metrics import MACRO, LabelMetrics, Resampling
from napari_ctclip.evaluation.localisation import LocalisationRow
from napari_ctclip.experiments.arm_run import ArmResult
from napari_ctclip.io.files import write_text

__all__ = ["ArmRow", "arm_row", "insert_part", "paired_rows", "results_part", "write_figure"]

_BEGIN, _END = "<!-- results: begin -->", "<!-- results: end -->"


@dataclass(frozen=True, eq=False)
class ArmRow:
    """One arm's line.

    Attributes
    ----------
    name : str
        Of the arm.
    labels : tuple of LabelMetrics
        Every finding, on the test studies.
    macro : LabelMetrics
        Their mean.
    localisation : LocalisationRow
        All findings of all test studies together.
    """

    name: str
    labels: tuple[LabelMetrics, ...]
    macro: LabelMetrics
    localisation: LocalisationRow


def arm_row(result: ArmResult) -> ArmRow:
    """Return an arm's numbers: thresholds from the validation studies, the rest from the others.

    A study may have several findings to localise: resamples draw studies, each with all of them.
    """
    evaluation = result.evaluation
    overall = [row for row in evaluation.localisation if row.size == "all"]
    if not overall:
        raise DataError(f"arm {result.arm.name!r}: no test study has a finding to localise")
    return ArmRow(result.arm.name, evaluation.labels, evaluation.macro, overall[-1])


def paired_rows(
    results: Sequence[ArmResult], pairs: Sequence[tuple[str, str]], resampling: Resampling
) -> list[ComparisonRow]:
    """Return the difference in mean AUROC of each pair of arms, by paired bootstrap."""
    tables = {result.arm.name: result.evaluation.table for result in results}
    rows = []
    for a, b in pairs:
        compared = compare_tables({a: tables[a], b: tables[b]}, resampling=resampling)
        rows += [r for r in compared.rows if r.label == MACRO and r.metric == "auroc"]
    return rows


def results_part(rows: Sequence[ArmRow], pairs: Sequence[ComparisonRow], figure: str) -> str:
    """Return the tables and the figure as Markdown."""
    lines = [
        "| arm | AUROC | F1 | peak in the finding | average precision of the heatmap |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.name} | {_shown(row.macro.values['auroc'])} | {_shown(row.macro.values['f1'])} "
        f"| {_shown(row.localisation.pointing)} | {_shown(row.localisation.auprc)} |"
        for row in rows
    ]
    chance = rows[0].localisation.chance.value
    tested, located = rows[0].macro.studies, rows[0].localisation.studies
    lines += [
        "",
        f"Means over {len(rows[0].labels)} findings of {tested} test studies ({located} findings "
        f"to localise), 95 % intervals from resampled patients. Guessing: AUROC 0.50, average "
        f"precision {chance:.2f}.",
        "",
        f"![AUROC while trained, and at the end with 95 % intervals]({figure})",
        "",
        "| first | second | AUROC of the second less that of the first | p |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {r.pair[0]} | {r.pair[1]} | {_shown(r.difference, sign=True)} | {_p(r.p_bootstrap)} |"
        for r in pairs
    ]
    names = [row.name for row in rows]
    lines += ["", f"| finding (studies with it) | {' | '.join(names)} |"]
    lines += ["|---" * (len(names) + 1) + "|"]
    for column, label in enumerate(rows[0].labels):
        values = [f"{row.labels[column].values['auroc'].value:.2f}" for row in rows]
        lines.append(f"| {label.label} ({label.positives}) | {' | '.join(values)} |")
    return "\n".join(lines)


def insert_part(page: Path, part: str) -> None:
    """Put the results into a page, between its two marks.

    Raises
    ------
    DataError
        If the page cannot be read or lacks a mark.
    """
    try:
        text = page.read_text("utf-8")
        before, rest = text.split(_BEGIN)
        _, after = rest.split(_END)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{page}: expected a page with one line {_BEGIN!r} and one line {_END!r} below it, "
            "which the results go between"
        ) from error
    write_text(page, f"{before}{_BEGIN}\n\n{part}\n\n{_END}{after}")


def _shown(interval: Interval, *, sign: bool = False) -> str:
    form = "+.3f" if sign else ".3f"
    if math.isnan(interval.low):
        return f"{interval.value:{form}} (no interval: the same in every resample)"
    return f"{interval.value:{form}} ({interval.low:{form}} to {interval.high:{form}})"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


_COLOURS = {"clip": "#8a8f98", "ct_glip": "#1f5fa8", "lrclr": "#2f8f5b", "fvlm": "#c2571a"}
_LINES = ("-", "--", "-.", ":")
_OTHER = "#444444"


def write_figure(results: Sequence[ArmResult], rows: Sequence[ArmRow], file: Path) -> None:
    """Write one picture; a colour a method, a kind of line a variant of it."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    curves, ends = figure.subplots(1, 2, sharey=False)
    seen: dict[str, int] = {}
    for line_number, (result, row) in enumerate(zip(results, rows, strict=True)):
        method = result.arm.method
        seen[method] = seen.get(method, -1) + 1
        colour = _COLOURS.get(method, _OTHER)
        line = _LINES[seen[method] % len(_LINES)]
        steps, values = [p[0] for p in result.curve], [p[1] for p in result.curve]
        curves.plot(steps, values, line, color=colour, label=row.name)
        area = row.macro.values["auroc"]
        ends.plot(
            [area.low, area.high], [line_number, line_number], line, color=colour, linewidth=2
        )
        ends.plot(area.value, line_number, "o", color=colour)
    for axes in (curves, ends):
        axes.grid(alpha=0.25)
    curves.set(xlabel="step", ylabel="mean AUROC, some validation studies")
    curves.legend(fontsize=7, loc="best")
    ends.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=8)
    ends.invert_yaxis()
    ends.axvline(0.5, color=_COLOURS["clip"], linestyle=":")
    ends.set_xlabel("mean AUROC, test studies, 95 % interval")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)

"""Figure of a same-work comparison: learning curves beside the final numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from napari_ctclip.experiments.arm_run import ArmResult
from napari_ctclip.experiments.results import ArmRow

__all__ = ["write_figure"]

_COLOURS = {"clip": "#8a8f98", "ct_glip": "#1f5fa8", "lrclr": "#2f8f5b", "fvlm": "#c2571a"}
_LINES = ("-", "--", "-.", ":")
_OTHER = "#444444"


def write_figure(results: Sequence[ArmResult], rows: Sequence[ArmRow], file: Path) -> None:
    """Write one picture; a colour a method, a kind of line a variant of it."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    curves, ends = figure.subplots(1, 2, sharey=False)
    seen: dict[str, int] = {}
    for place, (result, row) in enumerate(zip(results, rows, strict=True)):
        method = result.arm.method
        seen[method] = seen.get(method, -1) + 1
        colour = _COLOURS.get(method, _OTHER)
        line = _LINES[seen[method] % len(_LINES)]
        steps, values = [p[0] for p in result.curve], [p[1] for p in result.curve]
        curves.plot(steps, values, line, color=colour, label=row.name)
        area = row.macro.values["auroc"]
        ends.plot([area.low, area.high], [place, place], line, color=colour, linewidth=2)
        ends.plot(area.value, place, "o", color=colour)
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

"""RunLog: a step's numbers to metrics.csv, TensorBoard and the terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path

from napari_ctclip.io.files import replacing

__all__ = ["RunLog", "StepReport"]

StepReport = Callable[[int, int, Mapping[str, float]], None]
"""Called after a step with (steps done, steps in all, its numbers)."""

_METRICS = "metrics.csv"


class RunLog:
    """Numbers of every step, once: steps that a resumed run does again replace what was logged.

    Parameters
    ----------
    folder : Path
        The folder of the run.
    first_step : int
        The step that the run resumes with.
    report : StepReport, optional
        Shows progress.
    """

    def __init__(self, folder: Path, *, first_step: int, report: StepReport | None = None) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._report = report
        self._file = folder / _METRICS
        self._columns = _keep_before(self._file, first_step)
        self._stream = self._file.open("a", newline="", encoding="utf-8")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step or None)

    def write(self, step: int, steps: int, numbers: Mapping[str, float]) -> None:
        """Take in one step."""
        row = {"step": str(step), **{name: f"{value:.6g}" for name, value in numbers.items()}}
        if not self._columns:
            self._columns = list(row)
            csv.writer(self._stream).writerow(self._columns)
        csv.DictWriter(self._stream, self._columns, extrasaction="ignore").writerow(row)
        self._stream.flush()
        for name, value in numbers.items():
            self._board.add_scalar(name, value, step)
        if self._report is not None:
            self._report(step + 1, steps, numbers)

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.close()
        self._board.close()


def _keep_before(file: Path, first_step: int) -> list[str]:
    """Drop the rows from ``first_step`` on, and one that was cut short; return the columns."""
    if not file.is_file() or first_step == 0:
        file.unlink(missing_ok=True)
        return []
    rows = list(csv.reader(io.StringIO(file.read_text("utf-8"), newline="")))
    columns = rows[0] if rows else []
    whole = [r for r in rows[1:] if len(r) == len(columns) and r[0].isdigit()]
    with replacing(file) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(row for row in whole if int(row[0]) < first_step)
    return columns

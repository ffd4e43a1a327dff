"""TotalSegmentator, where it is installed, run on a volume as a separate process."""

from __future__ import annotations

import importlib.util
import logging
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Literal

import nibabel as nib

from napari_ctclip.core.errors import Cancelled, CtClipError
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.volume import Volume
from napari_ctclip.io.masks.organ_mask_files import read_organ_masks

__all__ = ["Device", "is_installed", "segment_with_totalsegmentator"]

Device = Literal["auto", "cpu", "gpu", "mps"]

_COMMAND = "TotalSegmentator"
_HOW_TO_INSTALL = 'pip install "napari-ctclip[segment]"'

_POLL_S = 0.2
"""Ours: how often a request to stop is looked for, seconds."""

_PATIENCE_S = 5.0
"""Ours: time to end by itself before it is killed, seconds."""

_LOG_LINES = 15
"""Ours: last lines of its output that an error shows."""

_logger = logging.getLogger(__name__)


def is_installed() -> bool:
    """Return whether TotalSegmentator can be run, without importing it."""
    return importlib.util.find_spec("totalsegmentator") is not None or _program() is not None


def segment_with_totalsegmentator(
    volume: Volume,
    *,
    task: str = "total",
    fast: bool = False,
    device: Device = "auto",
    progress: Callable[[str], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> OrganMasks:
    """Return the organ masks that TotalSegmentator makes of a volume.

    It downloads its weights by itself when it runs for the first time.

    Parameters
    ----------
    volume : Volume
        The scan, HU.
    task : str
        Its task, e.g. ``"total"`` or ``"lung_vessels"``; some need a licence of their own.
    fast : bool
        Use its 3 mm model.
    device : {"auto", "cpu", "gpu", "mps"}
        Where it computes; ``"auto"`` leaves it to TotalSegmentator.
    progress : callable, optional
        Called with every line that it writes.
    should_stop : callable, optional
        Asked five times a second.

    Returns
    -------
    OrganMasks
        On the grid of ``volume``, with source ``"TotalSegmentator"``.

    Raises
    ------
    Cancelled
        If ``should_stop`` says so; the process has ended and its files are gone.
    CtClipError
        If TotalSegmentator is not installed, fails, or writes no label map that can be read.
    """
    program = _program()
    if program is None:
        raise CtClipError(f"TotalSegmentator is not installed; install it with {_HOW_TO_INSTALL}")
    with tempfile.TemporaryDirectory(prefix="ctclip-segment-") as folder:
        scan, labels = Path(folder) / "ct.nii.gz", Path(folder) / "labels.nii.gz"
        _write(volume, scan)
        command = [program, "-i", str(scan), "-o", str(labels), "--ml", "--task", task]
        command += ["--fast"] if fast else []
        command += ["--device", device] if device != "auto" else []
        _run(command, progress=progress, should_stop=should_stop)
        scan.unlink()
        # the other tasks' names stand in the file that is written
        legend = "totalsegmentator-v2" if task == "total" else None
        read = read_organ_masks(_only_label_map(Path(folder), labels), volume, legend=legend)
    return replace(read.masks, source="TotalSegmentator")


def _program() -> str | None:
    """Return the path of the program: on PATH, or beside this Python."""
    beside = str(Path(sys.executable).parent)
    return shutil.which(_COMMAND) or shutil.which(_COMMAND, path=beside)


def _write(volume: Volume, path: Path) -> None:
    """Write the volume as NIfTI: int16 HU, axes and affine as inside this package."""
    image = nib.Nifti1Image(volume.voxels, volume.geometry.affine)  # type: ignore[no-untyped-call]
    nib.save(image, path)


def _run(
    command: list[str],
    *,
    progress: Callable[[str], None] | None,
    should_stop: Callable[[], bool] | None,
) -> None:
    """Run the program to its end; raise if it fails or is to stop."""
    _logger.info("starting %s", " ".join(command))
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    last: deque[str] = deque(maxlen=_LOG_LINES)
    try:
        for line in _lines(process):
            if should_stop is not None and should_stop():
                raise Cancelled("TotalSegmentator was stopped")
            if line:
                last.append(line)
                if progress is not None:
                    progress(line)
    finally:
        _end(process)
    if process.returncode != 0:
        log = "\n".join(last) or "(it wrote nothing)"
        raise CtClipError(f"TotalSegmentator failed with code {process.returncode}:\n{log}")


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    """Yield the lines that a process writes, and an empty one whenever it is silent for a while."""
    assert process.stdout is not None
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_read_into, args=(process.stdout, lines), daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=_POLL_S)
        except queue.Empty:
            yield ""
            continue
        if line is None:
            break
        yield line
    while process.poll() is None:
        try:
            process.wait(timeout=_POLL_S)
        except subprocess.TimeoutExpired:
            yield ""


def _read_into(stream: IO[str], lines: queue.Queue[str | None]) -> None:
    """Put the lines of a stream into a queue, None at its end."""
    with stream:
        for line in stream:
            lines.put(line.rstrip())
    lines.put(None)


def _end(process: subprocess.Popen[str]) -> None:
    """End a process that still runs: politely, then by force."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _only_label_map(folder: Path, expected: Path) -> Path:
    """Return the label map that was written, under the expected or another NIfTI name."""
    found = [expected] if expected.is_file() else sorted(folder.glob("*.nii*"))
    if len(found) != 1:
        raise CtClipError(
            f"TotalSegmentator ended without an error but wrote {len(found)} label maps, expected 1"
        )
    return found[0]

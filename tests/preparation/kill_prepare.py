"""Kill ``prepare`` at random moments, start it again, and compare with an undisturbed run.

Usage: python -m tests.preparation.kill_prepare [KILLS] [WORKERS] [SEED]

It is no test of the suite: ten kills take minutes.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from tests.preparation.folder_bytes import contents
from tests.preparation.made_up_archive import COLUMNS, write_archive

_START_S = 3.0  # imports; a kill before them shows nothing


def main(kills: int = 10, workers: int = 2, seed: int = 0) -> int:
    """Return 0 if the killed run's files are those of the undisturbed one."""
    console, rng = Console(highlight=False), random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = write_archive(folder / "archive")
        start = time.perf_counter()
        _run(table, folder / "undisturbed", workers).wait()
        length = time.perf_counter() - start
        console.print(f"undisturbed: {length:.1f} s, {len(contents(folder / 'undisturbed'))} files")
        for kill in range(1, kills + 1):
            process = _run(table, folder / "killed", workers)
            moment = rng.uniform(_START_S, max(length, _START_S + 1) * 0.6)
            try:
                process.wait(moment)
                console.print(f"kill {kill}: it had ended before {moment:.1f} s")
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                done = list((folder / "killed" / "store" / "studies").glob("[!.]*"))
                half = list((folder / "killed" / "store" / "studies").glob(".unfinished*"))
                console.print(
                    f"kill {kill}: at {moment:.1f} s, {len(done)} studies, {len(half)} half done"
                )
        code = _run(table, folder / "killed", workers).wait()
        same = contents(folder / "undisturbed") == contents(folder / "killed")
    console.print("byte-equal" if same and code == 0 else f"DIFFERENT (exit code {code})")
    return int(not same or code != 0)


def _run(table: Path, out: Path, workers: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "napari_ctclip.cli.train", "prepare"]
    command += [
        str(table.parent / "scans"),
        "--reports",
        str(table),
        "--out",
        str(out),
        "--workers",
        str(workers),
    ]
    command += ["--spacing", "4", "4", "4"]
    for column in COLUMNS:
        command += ["--column", column]
    return subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))

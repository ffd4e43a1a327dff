"""Kill a training at random moments, resume it each time, and compare it with one never killed.

    python scripts/kill_and_resume.py --kills 20 --method fvlm

Exits with 1 if a single weight differs by a single bit.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Run the comparison; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", default="fvlm")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/kill_and_resume"))
    options = parser.parse_args()
    rng = random.Random(options.seed)
    shutil.rmtree(options.out, ignore_errors=True)
    whole, killed = options.out / "whole", options.out / "killed"
    if _command(options.method, whole, options.steps).wait():
        return 1
    kills = 0
    while kills < options.kills:
        process = _command(options.method, killed, options.steps)
        # two kills in three fall into the steps, the rest anywhere from the start of the process
        if rng.random() < 0.67:
            _wait_for_steps(process, killed, rng.randint(1, max(1, options.steps // 10)))
        time.sleep(rng.uniform(0.0, 2.0))
        if process.poll() is not None:
            sys.stderr.write(f"done after {kills} kills: give more --steps\n")
            break
        process.kill()
        process.wait()
        kills += 1
    if _command(options.method, killed, options.steps).wait():
        return 1
    differing = _differences(whole / "state.pt", killed / "state.pt")
    sys.stdout.write(f"{kills} kills, {len(differing)} tensors differ {differing[:3]}\n")
    return 1 if differing or kills < options.kills else 0


def _command(method: str, out: Path, steps: int) -> subprocess.Popen[bytes]:
    recipe = ROOT / "training" / method / "smoke.toml"
    overrides = ["--set", f"optimizer.steps={steps}", "--set", "loop.save_every=3"]
    command = [sys.executable, "-m", "napari_ctclip.cli.train", method, "--recipe", str(recipe)]
    return subprocess.Popen([*command, "--out", str(out), "--resume", *overrides])


def _wait_for_steps(process: subprocess.Popen[bytes], out: Path, steps: int) -> None:
    """Wait until so many steps more are logged than there were."""
    until = _logged(out) + steps
    while process.poll() is None and _logged(out) < until:
        time.sleep(0.01)


def _logged(out: Path) -> int:
    file = out / "metrics.csv"
    return file.read_bytes().count(b"\n") if file.is_file() else 0


def _differences(first: Path, second: Path) -> list[str]:
    one, other = (torch.load(file, weights_only=True) for file in (first, second))
    return [
        f"{part}.{name}"
        for part in ("module", "average")  # the average where the recipe keeps one
        for name, tensor in one.get(part, {}).items()
        if not torch.equal(tensor, other[part][name])
    ]


if __name__ == "__main__":
    sys.exit(main())

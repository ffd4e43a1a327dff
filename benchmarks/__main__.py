"""Run every benchmark and print one table."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable

import torch
from rich.console import Console

from benchmarks import (
    cold_start,
    encoding,
    fvlm_step,
    loader_wait,
    patches,
    prompts,
    random_crops,
    reading,
    reports,
    saving,
    slices,
    window,
)
from benchmarks.scan import large_study


def main() -> None:
    """Print the speed of everything a user waits for."""
    console = Console(highlight=False)
    console.print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"torch {torch.__version__} with {torch.get_num_threads()} threads"
    )
    study = large_study()
    console.print(f"scan: {' x '.join(map(str, study.volume.geometry.shape))} voxels")
    parts: tuple[Callable[[], dict[str, str]], ...] = (
        reading.run,
        reports.run,
        cold_start.run,
        lambda: encoding.run(study),
        lambda: slices.run(study),
        lambda: random_crops.run(study),
        lambda: prompts.run(study),
        patches.run,
        lambda: window.run(study),
        lambda: saving.run(study),
        fvlm_step.run,
        lambda: loader_wait.run(study),
    )
    for part in parts:
        for name, value in part().items():
            console.print(f"{name:58s} {value}")


if __name__ == "__main__":
    main()

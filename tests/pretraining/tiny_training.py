"""Run as a process of its own in tests: a training of seconds that can be killed and resumed."""

from __future__ import annotations

import sys
from pathlib import Path

from napari_ctclip.pretraining.loop import Stopped, train
from napari_ctclip.pretraining.runs.run_folder import RunFolder
from tests.pretraining.tiny_run import tiny_assembly, tiny_recipe, training_of

STEPS = 14


def main(folder: Path, texts: Path, *, calibration: str) -> None:
    """Train, or continue where an earlier run of the folder stopped."""
    recipe = tiny_recipe(
        "fvlm",
        texts,
        objective={"calibration": calibration},
        dropout=0.3,
        save_every=3,
        chunk=2,
        optimizer={"steps": STEPS, "accumulation": 2},
    )
    assembly = tiny_assembly(recipe)
    run = RunFolder(folder)
    try:
        train(training_of(recipe, assembly), run, resume=True)
    except Stopped as stopped:
        sys.exit(str(stopped))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), calibration=sys.argv[3])

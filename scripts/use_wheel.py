"""What the test of the wheel does with it: find its data, encode a simulated scan and ask it."""

from __future__ import annotations

import sys
from pathlib import Path

import napari_ctclip as ctclip
from napari_ctclip.pretraining.runs.shipped_recipes import METHOD_SUMMARIES, recipe_file


def main(environment: Path) -> None:
    """Raise where the package is not the one in ``environment`` or lacks something."""
    installed = Path(ctclip.__file__).resolve()
    assert installed.is_relative_to(environment), f"{installed} is not the wheel's"
    for method in METHOD_SUMMARIES:
        assert recipe_file(method).resolve().is_relative_to(environment), method
    study = ctclip.simulate_study(3, spacing_mm=(5.0, 5.0, 5.0)).study
    masks = ctclip.organ_masks(study.volume)
    answer = ctclip.encode(study.volume, device="cpu").ask("lung nodule", masks=masks)
    assert answer.heatmap.shape == study.volume.voxels.shape
    assert {score.anatomy for score in answer.organs} >= {"lung_right", "lung_left"}
    sys.stdout.write(f"{answer!r}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())

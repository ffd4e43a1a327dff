"""A small set of scans on disk, with and without a bright ball, as a manifest."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.evaluation.task_files import TaskSet, ZeroShotTask
from tests.phantom import BALL_CENTRE, ball_study

TASKS = TaskSet(
    "spots",
    "bright balls and nothing",
    "made up",
    (
        ZeroShotTask("ball", ("bright ball", "bright nodule"), ("no bright ball",), ("lung",)),
        ZeroShotTask("hole", ("dark hole",), ("no dark hole",), ("lung",)),
    ),
)

TASK_TOML = """
name = "spots"
source = "made up"
[[tasks]]
label = "ball"
anatomy = "lung"
positive = ["bright ball", "bright nodule"]
negative = "no bright ball"
[[tasks]]
label = "hole"
anatomy = "lung"
positive = "dark hole"
"""


@dataclass
class Studies:
    """What was written."""

    folder: Path
    lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def manifest(self) -> Path:
        """The manifest as it now is."""
        path = self.folder / "manifest.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in self.lines), "utf-8")
        return path

    @property
    def task(self) -> Path:
        """The task file."""
        path = self.folder / "spots.toml"
        path.write_text(TASK_TOML, "utf-8")
        return path

    def table(self, name: str, rows: Sequence[Sequence[object]]) -> Path:
        """Write a CSV."""
        path = self.folder / name
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
        return path


def write_studies(folder: Path, balls: Sequence[bool], *, splits: Sequence[str]) -> Studies:
    """Write one scan for each of ``balls`` with its organ masks and a line of the manifest."""
    studies = Studies(folder)
    phantom = ball_study()
    geometry = phantom.volume.geometry
    save(phantom.organ_masks.labels, geometry, folder / "organs.nii.gz")
    legend = json.dumps(dict(phantom.organ_masks.legend))
    (folder / "organs.json").write_text(legend, "utf-8")
    for number, (ball, split) in enumerate(zip(balls, splits, strict=True)):
        voxels = phantom.volume.voxels.copy()
        inside = voxels == 700
        # fainter from study to study, so that scores differ; every scan is another one
        voxels[inside] = 600 - 10 * number if ball else -900
        voxels[number % 10, 20, 20] = -890 - number
        save(voxels, geometry, folder / f"scan{number}.nii.gz")
        save(inside.astype(np.uint8), geometry, folder / "ball.nii.gz")
        studies.lines.append(
            {
                "study_id": f"s{number}",
                "patient_id": f"p{number}",
                "image": f"scan{number}.nii.gz",
                "masks": "organs.nii.gz",
                "labels": {"ball": int(ball), "hole": 0},
                "split": split,
            }
        )
    return studies


def save(array: np.ndarray, geometry: Geometry, path: Path) -> None:
    """Write an array as RAS NIfTI."""
    transform = geometry.transform_to("RAS")
    image = nib.Nifti1Image(
        np.ascontiguousarray(transform.apply(array)), geometry.reoriented(transform).affine
    )
    nib.save(image, path)


__all__ = ["BALL_CENTRE", "TASKS", "Studies", "save", "write_studies"]

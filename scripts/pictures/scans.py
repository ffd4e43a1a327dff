"""Scans: what the pictures show: two open CTs where they are, else the simulated samples."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_ctclip.io import read_volume

__all__ = ["SHARED", "Scan", "scans"]

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@dataclass(frozen=True)
class Scan:
    """One scan to be shown.

    Attributes
    ----------
    name : str
        How its pictures' names begin.
    path : Path
        File or DICOM folder.
    prompt : str
        A finding that is there.
    place_mm : tuple of float or None
        RAS mm within the finding; None: where the prompt is highest.
    """

    name: str
    path: Path
    prompt: str
    place_mm: tuple[float, float, float] | None = None

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of DICOM files."""
        return self.path.is_dir()


def scans(scratch: Path) -> tuple[Scan, Scan]:
    """Return a file and a DICOM series; simulated ones are written into ``scratch``."""
    nodule, series = SHARED / "lidc_idri_0001", SHARED / "lung_pet_ct_dx_a0002"
    first = (
        Scan("nodule", nodule / "ct.nii.gz", "lung nodule", _middle_of(nodule / "nodule.nii.gz"))
        if nodule.is_dir()
        else Scan("simulated", _simulated_file(scratch), "lung nodule")
    )
    second = (
        Scan("tumour", series / "dicom", "lung mass", _middle_of_boxes(series))
        if series.is_dir()
        else Scan("series", _simulated_series(scratch), "pleural effusion")
    )
    return first, second


def _middle_of(mask: Path) -> tuple[float, float, float]:
    """Return a voxel of a lesion's mask near its middle, in RAS mm."""
    import nibabel

    image = nibabel.load(mask)
    inside = np.argwhere(np.asarray(image.dataobj) > 0)  # type: ignore[attr-defined]
    nearest = inside[np.argmin(((inside - inside.mean(axis=0)) ** 2).sum(axis=1))]
    x, y, z = (image.affine @ [*nearest, 1.0])[:3].tolist()  # type: ignore[attr-defined]
    return x, y, z


def _middle_of_boxes(series: Path) -> tuple[float, float, float]:
    """Return the middle of the middle one of the boxes drawn around a tumour, in RAS mm."""
    boxes = json.loads((series / "tumour_boxes.json").read_text(encoding="utf-8"))
    box = sorted(boxes, key=lambda b: b["z_mm"])[len(boxes) // 2]
    volume = read_volume(series / "dicom").volume
    geometry = volume.geometry
    depth = geometry.shape[0]
    heights = [geometry.index_to_world((z, 0, 0))[2] for z in range(depth)]
    z = int(np.argmin(np.abs(np.asarray(heights) - box["z_mm"])))
    y, x = (box["ymin"] + box["ymax"]) / 2, (box["xmin"] + box["xmax"]) / 2
    right, front, up = (float(c) for c in geometry.index_to_world((z, y, x)))
    return right, front, up


def _simulated_file(scratch: Path) -> Path:
    import nibabel

    from napari_ctclip.plugin.study.sample_data import simulated_chest_volume

    volume = simulated_chest_volume()
    path = scratch / "simulated.nii.gz"
    nibabel.save(nibabel.Nifti1Image(volume.voxels, volume.geometry.affine), path)
    return path


def _simulated_series(scratch: Path) -> Path:
    from napari_ctclip.simulation import simulate_study
    from napari_ctclip.simulation.dicom import write_dicom_series

    made = simulate_study(
        9, spacing_mm=(3.0, 1.5, 1.5), findings=("lung nodule", "pleural effusion")
    )
    write_dicom_series(made.study, scratch / "series")
    return scratch / "series"

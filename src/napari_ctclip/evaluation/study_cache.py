"""Study cache: a simulated study as one file."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume
from napari_ctclip.simulation import Lesion, SimulatedStudy

__all__ = ["load_study", "save_study"]


def save_study(simulated: SimulatedStudy, file: Path) -> None:
    """Write voxels, organ masks, findings and lesions (no report)."""
    masks = simulated.study.organ_masks
    assert masks is not None
    file.parent.mkdir(parents=True, exist_ok=True)
    lesions = [asdict(lesion) for lesion in simulated.lesions]
    words = json.dumps({"legend": dict(masks.legend), "lesions": lesions})
    part = file.with_suffix(".part.npz")
    np.savez(
        part,
        voxels=simulated.study.volume.voxels,
        labels=masks.labels,
        bits=simulated.finding_bits,
        affine=simulated.study.volume.geometry.affine,
        words=np.array(words),
    )
    part.replace(file)


def load_study(file: Path) -> SimulatedStudy:
    """Return the study that :func:`save_study` wrote."""
    with np.load(file) as stored:
        words = json.loads(str(stored["words"]))
        voxels = stored["voxels"]
        geometry = Geometry(voxels.shape, stored["affine"])
        masks = OrganMasks(stored["labels"], words["legend"], geometry, source="simulation")
        bits = stored["bits"]
    study = Study(volume=Volume(voxels, geometry), organ_masks=masks, study_id=file.stem)
    lesions = tuple(
        Lesion(**{**lesion, "centre": tuple(lesion["centre"])}) for lesion in words["lesions"]
    )
    return SimulatedStudy(study, bits, lesions)

"""Study cache: simulated studies as files, each simulated once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.report import Report
from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume
from napari_ctclip.io.files import replacing
from napari_ctclip.simulation import Lesion, SimulatedStudy, simulate_study

__all__ = ["cached_study", "load_study", "save_study"]


def cached_study(
    seed: int,
    folder: Path,
    *,
    spacing_mm: tuple[float, float, float],
    findings: Sequence[str] | None = None,
) -> SimulatedStudy:
    """Return the study of a seed; it is simulated once and kept in ``folder``.

    A folder holds studies of one spacing and one way to choose findings: the file's name is the
    seed.
    """
    file = folder / f"{seed}.npz"
    if file.exists():
        return load_study(file)
    simulated = simulate_study(seed, spacing_mm=spacing_mm, findings=findings)
    save_study(simulated, file)
    return simulated


def save_study(simulated: SimulatedStudy, file: Path) -> None:
    """Write voxels, organ masks, findings, lesions and the report."""
    masks = simulated.study.organ_masks
    assert masks is not None
    lesions = [asdict(lesion) for lesion in simulated.lesions]
    report = simulated.study.report or Report()
    words = json.dumps({"legend": dict(masks.legend), "lesions": lesions, "report": asdict(report)})
    with replacing(file) as partial, partial.open("wb") as stream:
        np.savez(
            stream,
            voxels=simulated.study.volume.voxels,
            labels=masks.labels,
            bits=simulated.finding_bits,
            affine=simulated.study.volume.geometry.affine,
            words=np.array(words),
        )


def load_study(file: Path) -> SimulatedStudy:
    """Return the study that :func:`save_study` wrote."""
    with np.load(file) as stored:
        words = json.loads(str(stored["words"]))
        voxels = stored["voxels"]
        geometry = Geometry(voxels.shape, stored["affine"])
        masks = OrganMasks(stored["labels"], words["legend"], geometry, source="simulation")
        bits = stored["bits"]
    study = Study(
        volume=Volume(voxels, geometry),
        organ_masks=masks,
        report=Report(**words["report"]) if "report" in words else None,
        study_id=f"simulated-{file.stem}",
    )
    lesions = tuple(
        Lesion(**{**lesion, "centre": tuple(lesion["centre"])}) for lesion in words["lesions"]
    )
    return SimulatedStudy(study, bits, lesions)

"""Simulated cohort: simulated studies as the studies of an evaluation, each simulated once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.report import Report
from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume
from napari_ctclip.evaluation.study_source import (
    Lesion,
    LoadedStudy,
    StudySource,
    file_studies,
)
from napari_ctclip.io.files import replacing
from napari_ctclip.io.store.manifest import read_manifest
from napari_ctclip.simulation import FINDINGS, SimulatedStudy, simulate_study
from napari_ctclip.simulation.lesion import Lesion as SimulatedFinding
from napari_ctclip.simulation.lesion import finding_bit

__all__ = [
    "EVALUATION_SEED",
    "SIMULATED",
    "VALIDATION_SEED",
    "SimulatedLesion",
    "SimulatedSource",
    "kept_study",
    "load_study",
    "read_cohort",
    "save_study",
    "seeds_of",
    "simulated_cohort",
    "simulated_lesions",
]

SIMULATED = "simulated:"
"""Prefix of a manifest that is simulated, e.g. ``simulated:100000-100199``."""

VALIDATION_SEED, EVALUATION_SEED = 50_000, 100_000
"""First seeds of the validation and of the test studies; no training draws either."""

_SPACING_MM = (2.0, 2.0, 2.0)
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")

# Nodules are judged by size too: those below 10 mm are counted apart.
_SIZES = {"lung nodule": {"lung nodule, 10 mm and more": (10.0, np.inf),
                          "lung nodule, 4-10 mm": (0.0, 10.0)}}  # fmt: skip


@dataclass(frozen=True)
class SimulatedSource:
    """A simulated study of an evaluation.

    Attributes
    ----------
    study_id, patient_id : str
        Named after the seed.
    split : str
        By the seed.
    labels : mapping of str to 0, 1 or None
        Every finding, and findings by size: unknown where the study has other sizes only.
    file : Path
        Where the study is kept.
    """

    study_id: str
    patient_id: str
    split: str
    labels: Mapping[str, int | None]
    file: Path

    def load(self, *, quick_masks: bool) -> LoadedStudy:
        """Return the scan with its organs."""
        return LoadedStudy(load_study(self.file).study)

    def fingerprint(self) -> list[Any]:
        """Return the study's name and the folder's, which tells spacing and findings apart."""
        return [self.study_id, self.file.parent.name]


@dataclass(frozen=True)
class SimulatedLesion:
    """The place of a finding in a simulated study.

    Attributes
    ----------
    file : Path
        Where the study is kept.
    finding : str
        One of ``FINDINGS``.
    """

    file: Path
    finding: str

    def mask(self, volume: Volume) -> npt.NDArray[np.bool_]:
        """Return the voxels (D, H, W) of the finding."""
        with np.load(self.file) as stored:
            return np.asarray((stored["bits"] >> finding_bit(self.finding)) & 1, dtype=bool)

    def fingerprint(self) -> list[Any]:
        """Return the finding."""
        return [self.finding]


def read_cohort(
    manifest: str, folder: Path
) -> tuple[Sequence[StudySource], dict[str, dict[str, Lesion]]]:
    """Return the studies of a manifest, and the places of their findings where they are known.

    Parameters
    ----------
    manifest : str
        A file (.jsonl, .csv), or seeds of simulated studies (``simulated:100000-100199``).
    folder : Path
        Where simulated studies are kept.

    Raises
    ------
    DataError
        If the file cannot be read or has a fault, or there are no such seeds.
    """
    if manifest.startswith(SIMULATED):
        cohort = simulated_cohort(seeds_of(manifest), folder)
        return cohort, simulated_lesions(cohort)
    return file_studies(read_manifest(Path(manifest)).entries), {}


def seeds_of(manifest: str) -> list[int]:
    """Return the seeds of a simulated manifest: ``simulated:50000-50059,100000-100199``.

    Raises
    ------
    DataError
        If it names no seeds, or one twice.
    """
    seeds: list[int] = []
    for part in manifest.removeprefix(SIMULATED).split(","):
        found = _RANGE.fullmatch(part.strip())
        if found is None:
            raise DataError(
                f"{manifest!r}: expected seeds and ranges of seeds, e.g. "
                f"{SIMULATED}{EVALUATION_SEED}-{EVALUATION_SEED + 199}; got {part!r}"
            )
        first, last = int(found[1]), int(found[2] or found[1])
        seeds += range(first, last + 1)
    if len(set(seeds)) < len(seeds) or not seeds:
        raise DataError(f"{manifest!r}: expected each seed once and at least one, got {len(seeds)}")
    return seeds


def simulated_cohort(
    seeds: Iterable[int],
    folder: Path,
    *,
    simulate: Callable[[int], Path] | None = None,
) -> list[SimulatedSource]:
    """Return the studies of seeds; those that ``folder`` lacks are simulated.

    Parameters
    ----------
    seeds : iterable of int
        From 100000 on: split ``"test"``; from 50000 on: ``"valid"``; below: ``"train"``.
    folder : Path
        Where studies of 2 mm with findings drawn at their prevalence are kept.
    simulate : callable, optional
        Returns the file of the study of a seed, for studies of another kind.
    """
    sources = []
    for seed in seeds:
        file = kept_study(seed, folder) if simulate is None else simulate(seed)
        split = "train" if seed < VALIDATION_SEED else "valid"
        split = "test" if seed >= EVALUATION_SEED else split
        name = f"simulated-{seed}"
        sources.append(SimulatedSource(name, name, split, _labels(_lesions(file)), file))
    return sources


def simulated_lesions(sources: Iterable[SimulatedSource]) -> dict[str, dict[str, Lesion]]:
    """Return study id -> label -> the place of each finding that is present."""
    finding_of = {name: name for name in FINDINGS}
    finding_of |= {label: name for name, sizes in _SIZES.items() for label in sizes}
    return {
        source.study_id: {
            label: SimulatedLesion(source.file, finding_of[label])
            for label, present in source.labels.items()
            if present
        }
        for source in sources
    }


def _labels(lesions: Sequence[Mapping[str, Any]]) -> dict[str, int | None]:
    largest: dict[str, float] = {}
    for lesion in lesions:
        finding = lesion["finding"]
        largest[finding] = max(largest.get(finding, 0.0), lesion["diameter_mm"])
    labels: dict[str, int | None] = {name: int(name in largest) for name in FINDINGS}
    for finding, sizes in _SIZES.items():
        diameter = largest.get(finding)
        for label, (low, high) in sizes.items():
            other = None if diameter is not None else 0
            labels[label] = 1 if diameter is not None and low <= diameter < high else other
    return labels


# --- studies as files -----------------------------------------------------------------------------


def kept_study(
    seed: int,
    folder: Path,
    *,
    spacing_mm: tuple[float, float, float] = _SPACING_MM,
    findings: Sequence[str] | None = None,
) -> Path:
    """Return the file of the study of a seed; it is simulated once and kept in ``folder``.

    A folder holds studies of one spacing and one way to choose findings: the file's name is the
    seed.
    """
    file = folder / f"{seed}.npz"
    if not file.exists():
        save_study(simulate_study(seed, spacing_mm=spacing_mm, findings=findings), file)
    return file


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
        SimulatedFinding(**{**lesion, "centre": tuple(lesion["centre"])})
        for lesion in words["lesions"]
    )
    return SimulatedStudy(study, bits, lesions)


def _lesions(file: Path) -> list[dict[str, Any]]:
    """Return the lesions of a kept study; its voxels are not read."""
    with np.load(file) as stored:
        found: list[dict[str, Any]] = json.loads(str(stored["words"]))["lesions"]
    return found

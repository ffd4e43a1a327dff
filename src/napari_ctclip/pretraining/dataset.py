"""Dataset: degraded crops of simulated studies with the truth of every token."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import DataError
from napari_ctclip.preprocessing.intensity import window_channels
from napari_ctclip.pretraining.degradation import degrade_crop
from napari_ctclip.pretraining.token_targets import UNSURE, TokenTargets, token_targets
from napari_ctclip.simulation import FINDINGS, simulate_study

__all__ = ["LAST_TRAINING_SEED", "StudyFolder", "TrainingCrop", "write_studies"]

logger = logging.getLogger(__name__)

LAST_TRAINING_SEED = 49_999
"""Seeds from 50 000 calibrate, seeds from 100 000 evaluate: neither is ever trained on."""

_SPACING_MM = (2.0, 2.0, 2.0)
_AIR_HU = -1024
# Ours: crops are centred more often on what is hardest: few tokens, or like something else
_FINDING_WEIGHT = {"lung nodule": 4.0, "lung mass": 2.5, "arterial calcification": 2.5}


@dataclass(frozen=True, eq=False)
class TrainingCrop:
    """One crop as the model sees it, and what its tokens are.

    Attributes
    ----------
    image : ndarray, shape (C, D, H, W), float32
        Prepared channels.
    findings : ndarray, shape (8, d, h, w), uint8
        Voxels of eight that each finding fills.
    tissue : ndarray, shape (d, h, w), uint8
        Index into ``token_targets.TISSUES``, or ``UNSURE``.
    """

    image: npt.NDArray[np.float32]
    findings: npt.NDArray[np.uint8]
    tissue: npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class _Entry:
    seed: int
    lesions: tuple[dict[str, Any], ...]


class StudyFolder:
    """Simulated studies at 2 mm in a folder, undegraded, read crop by crop.

    Parameters
    ----------
    folder : Path
        Holds ``<seed>_{hu,labels,bits}.npy`` and ``<seed>.json``, as :func:`write_studies` does.
    windows_hu : sequence of (low, high)
        Channels of the model.
    crop : int
        Voxels along each axis of a crop.
    lesion_share : float
        Share of the crops that are centred near a lesion.
    """

    def __init__(
        self,
        folder: Path,
        *,
        windows_hu: tuple[tuple[float, float], ...],
        crop: int = 64,
        lesion_share: float = 0.7,
    ) -> None:
        self.folder = folder
        self.windows_hu = windows_hu
        self.crop = crop
        self.lesion_share = lesion_share
        self._entries: dict[int, _Entry] = {}
        self._by_finding: dict[str, list[tuple[int, dict[str, Any]]]] = {}

    def refresh(self) -> int:
        """Look for studies that were added; return how many there are.

        Raises
        ------
        DataError
            If there is none.
        """
        for file in sorted(self.folder.glob("*.json")):
            if not file.stem.isdigit() or int(file.stem) in self._entries:
                continue
            seed = int(file.stem)
            if seed > LAST_TRAINING_SEED:
                continue
            lesions = tuple(json.loads(file.read_text("utf-8"))["lesions"])
            self._entries[seed] = _Entry(seed, lesions)
            for lesion in lesions:
                self._by_finding.setdefault(lesion["finding"], []).append((seed, lesion))
        if not self._entries:
            raise DataError(
                f"{self.folder} holds no simulated study with a seed up to {LAST_TRAINING_SEED}; "
                "write some with napari-ctclip-train starter --data"
            )
        return len(self._entries)

    def draw(self, rng: np.random.Generator) -> TrainingCrop:
        """Return one crop: flipped left to right half the time, degraded anew."""
        seed, centre = self._draw_place(rng)
        hu = np.load(self.folder / f"{seed}_hu.npy", mmap_mode="r")
        targets = self._targets(seed, hu)
        start = [
            2 * round((c - self.crop / 2 + rng.uniform(-1, 1) * self.crop * 0.38) / 2)
            for c in centre
        ]
        start = [
            min(max(s, -8), 2 * (n // 2) - self.crop + 8)
            for s, n in zip(start, hu.shape, strict=True)
        ]
        voxels = _cut(hu, start, self.crop, fill=_AIR_HU)
        tokens = [s // 2 for s in start]
        findings = np.stack([_cut(f, tokens, self.crop // 2, fill=0) for f in targets.findings])
        tissue = _cut(targets.tissue, tokens, self.crop // 2, fill=UNSURE)
        if rng.random() < 0.5:
            voxels, findings, tissue = voxels[..., ::-1], findings[..., ::-1], tissue[..., ::-1]
        image = window_channels(degrade_crop(np.ascontiguousarray(voxels), rng), self.windows_hu)
        return TrainingCrop(image, np.ascontiguousarray(findings), np.ascontiguousarray(tissue))

    def _draw_place(self, rng: np.random.Generator) -> tuple[int, list[float]]:
        if rng.random() < self.lesion_share and self._by_finding:
            names = sorted(self._by_finding)
            weight = np.array([_FINDING_WEIGHT.get(name, 1.0) for name in names])
            name = names[int(rng.choice(len(names), p=weight / weight.sum()))]
            options = self._by_finding[name]
            seed, lesion = options[int(rng.integers(len(options)))]
            return seed, list(lesion["centre"])
        seeds = sorted(self._entries)
        seed = seeds[int(rng.integers(len(seeds)))]
        shape = np.load(self.folder / f"{seed}_hu.npy", mmap_mode="r").shape
        return seed, [float(rng.uniform(0.1, 0.9) * n) for n in shape]

    def _targets(self, seed: int, hu: npt.NDArray[np.int16]) -> TokenTargets:
        """Return the token targets of a study; computed once, then read from the folder."""
        file = self.folder / f"{seed}_tokens.npy"
        if not file.exists():
            labels, bits = (np.load(self.folder / f"{seed}_{k}.npy") for k in ("labels", "bits"))
            made = token_targets(np.asarray(hu), labels, bits)
            part = self.folder / f"{seed}_tokens.part.npy"
            np.save(part, np.concatenate([made.findings, made.tissue[None]]))
            part.replace(file)
        stored = np.load(file, mmap_mode="r")
        return TokenTargets(stored[: len(FINDINGS)], stored[len(FINDINGS)])


def write_studies(folder: Path, seeds: range) -> None:
    """Simulate studies into a folder; those that are there already are left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        if (folder / f"{seed}.json").exists():
            continue
        simulated = simulate_study(seed, spacing_mm=_SPACING_MM, degrade=False)
        masks = simulated.study.organ_masks
        assert masks is not None
        np.save(folder / f"{seed}_hu.npy", simulated.study.volume.voxels)
        np.save(folder / f"{seed}_labels.npy", masks.labels)
        np.save(folder / f"{seed}_bits.npy", simulated.finding_bits)
        lesions = [
            {
                "finding": lesion.finding,
                "centre": list(lesion.centre),
                "diameter_mm": lesion.diameter_mm,
            }
            for lesion in simulated.lesions
        ]
        (folder / f"{seed}.json").write_text(
            json.dumps({"seed": seed, "lesions": lesions}), "utf-8"
        )
        logger.info("simulated training study %d", seed)


def _cut(array: npt.NDArray[Any], start: list[int], size: int, *, fill: int) -> npt.NDArray[Any]:
    """Return a cube of an array, filled where it reaches beyond."""
    out = np.full((size,) * 3, fill, dtype=array.dtype)
    source, target = [], []
    for s, n in zip(start, array.shape, strict=True):
        low, high = max(s, 0), min(s + size, n)
        source.append(slice(low, max(low, high)))
        target.append(slice(low - s, max(low, high) - s))
    out[tuple(target)] = array[tuple(source)]
    return out
